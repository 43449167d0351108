"""SMTP with TLS from the first byte: `MAIL_URL=smtps://…`."""

from notifier.senders.smtp import Sender  # noqa: F401  # found by its module's name
