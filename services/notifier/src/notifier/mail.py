"""A mail: plain fields, which each sender turns into what its server takes, written by ordinary Jinja2 templates.

A template is `NAME.subject.j2`, `NAME.txt.j2` and `NAME.html.j2` in `templates/`. A missing variable is an error.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import getaddresses
from functools import cache
from typing import Self

import idna
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from messaging.errors import ConfigurationError
from notifier.errors import MailRefused

_PART = r"[^\s\x00-\x1f\x7f-\x9f()<>\[\]:;@\\,\"]+"
_DOMAIN = re.compile(r"[A-Za-z0-9._-]+")
_environment = Environment(
    loader=PackageLoader("notifier"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)


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
        return cls.parse(text, "MAIL_FROM")

    @classmethod
    def parse(cls, text: str, setting: str) -> Self:
        """Read a setting: an address, or a name and an address; ConfigurationError, if it isn't one in ASCII."""
        with suppress(ValueError, MailRefused):
            [(name, email)] = getaddresses([text])
            if email.partition("@")[0].isascii():
                return cls.recipient(name, email)
        raise ConfigurationError(f"{setting} can't be used: {text!r} is no address. Write 'Herald <hello@example.org>'")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with a mail. `name`: what the reader sees; `content_type`: such as text/csv."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


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
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)

    @property
    def key(self) -> str:
        """The effect's key, as the Message-ID begins with it: a provider gives it back in its events."""
        return self.message_id.strip("<>").rpartition("@")[0]


def compose(
    template: str, *, sender: Address, recipient: Address, key: str, date: datetime, **variables: object
) -> Mail:
    """Write a mail by its template. `key` becomes its Message-ID: the same arguments give the same mail."""
    message_id = f"<{key}@{sender.email.rpartition('@')[2]}>"
    return Mail(sender, recipient, *render(template, **variables), message_id, date)


def render(name: str, **variables: object) -> tuple[str, str, str]:
    """Render a mail's subject, text and HTML; a template or variable that is missing raises Jinja2's own error."""
    subject, text, html = (_template(f"{name}.{kind}.j2").render(variables) for kind in ("subject", "txt", "html"))
    return subject.strip(), text, html


def templates() -> list[str]:
    """List the names of the templates."""
    return [name.removesuffix(".subject.j2") for name in _environment.list_templates() if name.endswith(".subject.j2")]


@cache
def _template(name: str) -> Template:
    template = _environment.get_template(name)
    template.globals = dict(template.globals)  # each rendering copies it; copying Jinja2's ChainMap takes 10 µs
    return template
