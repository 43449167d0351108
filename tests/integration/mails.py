"""Mails to send, and the first one's content as SMTP carries it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from notifier.mail import Address, Mail
from notifier.senders.smtp import Sender
from notifier.senders.smtp.mime import write

Connect = Callable[..., Sender]

MAIL = Mail(
    Address("", "hello@herald.example"),
    Address("Ada Byron", "ada@example.org"),
    subject="Hi",
    text="Hello\n",
    html="<p>Hello</p>\n",
    message_id="<1@herald.example>",
    date=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
)
CONTENT = write(MAIL)
ABROAD = replace(MAIL, recipient=Address("Zoë", "zoë@example.org"))
