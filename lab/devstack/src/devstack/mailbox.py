"""A development mailbox: a real SMTP server that keeps each mail as a file and delivers none.

A mail is answered 250 only when its file is complete: written under another name, then renamed.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from devstack.ports import free_port


class Mailbox:
    """An SMTP server on 127.0.0.1 that keeps each mail, byte for byte, as a file in `directory`.

    Args:
        directory: made on start.
        port: a free one if left out.
        on_mail: called with the path of each mail when it is there.
    """

    def __init__(self, directory: Path, port: int | None = None, on_mail: Callable[[Path], None] | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.url = f"smtp://127.0.0.1:{self.port}"
        self._on_mail = on_mail
        self._numbers = count(1)
        # Named, because the name's default asks the network.
        self._server = Controller(self, "127.0.0.1", self.port, server_hostname="mailbox.localhost")

    def start(self) -> None:
        """Start to listen; OSError when the port is taken."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._server.start()

    def stop(self) -> None:
        """Stop listening; the mails stay."""
        self._server.stop(no_assert=True)

    @property
    def mails(self) -> list[Path]:
        """The mails kept, oldest first."""
        return sorted(self.directory.glob("*.eml"))

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's
        """Keep a mail. Sessions run in one thread, so mails are numbered in the order of their files."""
        content = envelope.original_content or b""
        path = self.directory / self._name(datetime.now(UTC), envelope.rcpt_tos[0])
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_bytes(content)
            unfinished.rename(path)
        except OSError as error:
            return f"452 can't store the mail now: {error.strerror}"
        if self._on_mail:
            self._on_mail(path)
        return "250 OK"

    def _name(self, when: datetime, recipient: str) -> str:
        safe = re.sub(r"[^\w@.+-]", "_", recipient)[:40]
        return f"{when:%Y%m%dT%H%M%S.%fZ}-{next(self._numbers):04}-{safe}.eml"
