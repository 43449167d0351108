"""A mail: plain fields, which each sender turns into what its server takes."""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import getaddresses
from typing import Self

import idna

from messaging.errors import ConfigurationError
from notifier.errors import MailRefused
from notifier.templates import render

_PART = r"[^\s\x00-\x1f\x7f-\x9f()<>\[\]:;@\\,\"]+"
_DOMAIN = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Address:
    """A name, which may be empty, and an address. Both are kept out of `repr`, and so out of logs."""

    name: str = field(repr=False)
    email: str = field(repr=False)

    @classmethod
    def recipient(cls, name: str, email: str) -> Self:
        """Return a recipient's address, with its domain in ASCII; MailRefused, if it isn't one plain address."""
        local, _, domain = email.partition("@")
        with suppress(idna.IDNAError):
            domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
        if not re.fullmatch(f"{_PART}@{_PART}", email) or not _DOMAIN.fullmatch(domain):
            raise MailRefused("the recipient's address can't be written in a mail; correct it, then retry")
        return cls(name, f"{local}@{domain}")

    @classmethod
    def sender(cls, text: str) -> Self:
        """Read MAIL_FROM: an address, or a name and an address; ConfigurationError, if it isn't one in ASCII."""
        with suppress(ValueError, MailRefused):
            [(name, email)] = getaddresses([text])
            if email.partition("@")[0].isascii():
                return cls.recipient(name, email)
        raise ConfigurationError(f"MAIL_FROM can't be used: {text!r} is no address. Write 'Herald <hello@example.org>'")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one recipient. `date` has a time zone; `headers` are those beside the fields."""

    sender: Address
    recipient: Address
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    message_id: str
    date: datetime
    headers: tuple[tuple[str, str], ...] = (("Auto-Submitted", "auto-generated"),)


def compose(
    template: str, *, sender: Address, recipient: Address, key: str, date: datetime, **variables: object
) -> Mail:
    """Write a mail by its template. `key` becomes its Message-ID: the same arguments give the same mail."""
    message_id = f"<{key}@{sender.email.rpartition('@')[2]}>"
    return Mail(sender, recipient, *render(template, **variables), message_id, date)
