"""SMTP with TLS from the first byte: `MAIL_URL=smtps://…`."""

from notifier.senders.smtp import Sender as Sender  # noqa: PLC0414  # `open_sender` finds it here
