"""An SMTP server that keeps what it accepts, and misbehaves on request."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from devstack.ports import free_port

Answer = Callable[[str], str | None]

_MESSAGE_ID = re.compile(rb"^Message-ID: <([a-z_]+)\.([0-9a-f-]{36})@", re.MULTILINE)

Mailed = tuple[str, UUID]
"""A subscription and an event."""


class Sink:
    """Keeps what it accepts, on a port of its own for as long as it lives.

    `answer`: its reply to each mail, or a function from the recipient to it, where None is silence for ever.
    `delay`: seconds before each reply, or a function from the recipient to them. Clear `release`: every mail waits.
    """

    def __init__(self) -> None:
        self.accepted: list[tuple[str, bytes]] = []
        self.begun = 0
        self.answer: str | Answer = "250 OK"
        self.delay: float | Callable[[str], float] = 0.0
        self.release = asyncio.Event()
        self.release.set()
        self.port = free_port()
        self._server: Controller | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        """The address of each accepted mail but follow-ups, in order; twice, if it came twice."""
        return [recipient for recipient, content in self.accepted if not _is_follow_up(content)]

    @property
    def followed_up(self) -> list[str]:
        """The address of each accepted follow-up mail, in order."""
        return [recipient for recipient, content in self.accepted if _is_follow_up(content)]

    @property
    def mails(self) -> list[EmailMessage]:
        """The accepted mails, each with its envelope's recipient as X-Recipient."""
        return [_read(recipient, content) for recipient, content in self.accepted]

    def mailed(self) -> set[Mailed]:
        """Return the effects whose mails were accepted, by their Message-ID."""
        found = (_MESSAGE_ID.search(content) for _, content in list(self.accepted))
        return {(match[1].decode(), UUID(match[2].decode())) for match in found if match}

    def start(self) -> None:
        """Listen."""
        self._server = Controller(_Handler(self._receive), "127.0.0.1", self.port, server_hostname="sink.localhost")
        self._server.start()

    def stop(self) -> None:
        """Stop listening; what was accepted stays."""
        if self._server:
            self._server.stop(no_assert=True)

    async def _receive(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answer one mail; it is kept before its 250 leaves."""
        self.begun += 1
        recipient = envelope.rcpt_tos[0]
        while not self.release.is_set():
            await asyncio.sleep(0.01)
        if delay := self.delay(recipient) if callable(self.delay) else self.delay:
            await asyncio.sleep(delay)
        answer = self.answer if isinstance(self.answer, str) else self.answer(recipient)
        if answer is None:
            await asyncio.Event().wait()
        assert answer is not None  # noqa: S101  # nothing sets that event
        if answer.startswith("250"):
            self.accepted.append((recipient, envelope.original_content or b""))
        return answer


class _Handler:
    """The handler for aiosmtpd, which reads every attribute of its handler at every connection, properties included."""

    def __init__(self, receive: Callable[[SMTP, Session, Envelope], Awaitable[str]]) -> None:
        self.handle_DATA = receive


def _is_follow_up(content: bytes) -> bool:
    return b"Message-ID: <follow_up_email." in content


def _read(recipient: str, content: bytes) -> EmailMessage:
    mail = message_from_bytes(content, policy=policy.default)
    mail["X-Recipient"] = recipient
    return mail
