"""The mails that the mailbox keeps, read for people. No file is too strange to be shown: where a mail can't be read
as a mail, its source still can.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from itertools import islice
from pathlib import Path

HEAD = 65_536
"""Bytes of a mail that are read for its line in the list."""

LARGEST = 40_000_000
"""The largest mail that is parsed, in bytes; the mailbox's SMTP server accepts none that is larger."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

LONGEST_FIELD = 300
LONGEST_BODY = 1_000_000
"""Characters that are shown; the rest is in the source."""


@dataclass(frozen=True)
class Summary:
    """A mail in the list. `name`: that of its file."""

    name: str
    received: datetime
    sender: str
    recipient: str
    subject: str


@dataclass(frozen=True)
class Letter:
    """A mail, opened. `text` and `html` are None where there is none that can be read."""

    summary: Summary
    text: str | None
    html: str | None


class Mails:
    """The files `*.eml` of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def newest(self, count: int, before: str = "") -> list[Summary]:
        """List up to `count` mails, newest first: of all, or of those that come after `before` in this order."""
        names = sorted((path.name for path in self._files()), reverse=True)
        older = (name for name in names if not before or name < before)
        return list(islice(self._summaries(older), count))

    def find(self, name: str) -> Path | None:
        """Return the file of this name; None unless it is one of the mails. No path is made of the name."""
        return next((path for path in self._files() if path.name == name), None)

    def open(self, name: str) -> Letter | None:
        """Read a mail; None if there is none of this name."""
        path = self.find(name)
        return read(path) if path else None

    def _files(self) -> Iterator[Path]:
        return (path for path in self._directory.glob("*.eml") if path.is_file() and not path.is_symlink())

    def _summaries(self, names: Iterator[str]) -> Iterator[Summary]:
        for name in names:
            with suppress(FileNotFoundError):  # deleted just now
                yield summary(self._directory / name)


def summary(path: Path) -> Summary:
    """Read the headers of a mail that the list shows."""
    with path.open("rb") as file:
        return _summary(path, _parsed(file.read(HEAD)))


def read(path: Path) -> Letter:
    """Read a whole mail."""
    if path.stat().st_size > LARGEST:
        return Letter(summary(path), None, None)
    mail = _parsed(path.read_bytes())
    return Letter(_summary(path, mail), _body(mail, "plain"), _body(mail, "html"))


def _parsed(content: bytes) -> EmailMessage:
    try:
        return message_from_bytes(content, policy=policy.default)
    except Exception:  # malformed mails break the parser in many ways
        return EmailMessage(policy.default)


def _summary(path: Path, mail: EmailMessage) -> Summary:
    received = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone()
    return Summary(path.name, received, _field(mail, "From"), _field(mail, "To"), _field(mail, "Subject"))


def _field(mail: EmailMessage, name: str) -> str:
    """Read a header as one line; empty if it is missing or can't be read."""
    try:
        value = " ".join(str(mail[name] or "").split())
    except Exception:  # as in _parsed
        return ""
    return _printable(value if len(value) <= LONGEST_FIELD else value[:LONGEST_FIELD] + " ...")


def _body(mail: EmailMessage, kind: str) -> str | None:
    try:
        part = mail.get_body((kind,))
        return None if part is None else _printable(_content(part)[:LONGEST_BODY])
    except Exception:  # as in _parsed
        return None


def _content(part: MIMEPart) -> str:
    try:
        return str(part.get_content())
    except LookupError:  # an unknown charset
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _printable(text: str) -> str:
    """Replace characters that terminals act on, and those that can't be encoded."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
