"""Sending mail: one kept connection for each thread, one deadline for each mail, and what became of it for certain."""

from notifier.smtp.deadline import Errand
from notifier.smtp.mailer import Mailer
from notifier.smtp.url import SmtpSettings

__all__ = ["Errand", "Mailer", "SmtpSettings"]
