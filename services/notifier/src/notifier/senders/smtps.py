"""SMTP with TLS from the first byte: `MAIL_URL=smtps://…`."""

from notifier.senders.smtp import Sender

__all__ = ["Sender"]
