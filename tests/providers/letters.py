"""Mails to send to providers."""

from datetime import UTC, datetime

from notifier.mail import Address, Attachment, compose

KEY = "welcome_email.0198d0a6-7a0e-7c7d-8f3e-2d9c3c0a1b2c"
NAME = "Zoë “Dot” <b>Ünal</b>, 🎉"
WELCOME = compose(
    "welcome",
    sender=Address("Herald, Inc.", "hello@herald.example"),
    recipient=Address(NAME, "zoe@example.org"),
    key=KEY,
    date=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
    full_name=NAME,
)
FILES = (
    Attachment("report über.csv", "text/csv", b"day,count\n"),
    Attachment("plot.png", "image/png", bytes(range(256))),
)
