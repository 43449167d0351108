"""SMTP: `MAIL_URL=smtp://…`; see `url`."""

from notifier.senders.smtp.sender import Sender as Sender
