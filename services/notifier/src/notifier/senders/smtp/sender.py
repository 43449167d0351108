"""The SMTP sender: one kept connection for each thread, one deadline for each mail."""

import threading
import time
from contextlib import suppress
from weakref import WeakSet

from notifier.errors import MailDeferred, MailRefused, SendingRefused, ServerAway
from notifier.mail import Mail
from notifier.senders.smtp import mime
from notifier.senders.smtp.connection import tls_context
from notifier.senders.smtp.login import open_session
from notifier.senders.smtp.session import Session
from notifier.senders.smtp.url import parse


class _Kept(threading.local):
    session: Session | None = None
    refusals = 0


class Sender:
    """Sends mails to one server; threads may share it. `timeout`: seconds for one mail, connecting included.

    `idle`: seconds after which a kept connection isn't trusted any more: servers and firewalls forget silent ones.
    `refusals`: after so many in a row that aren't about their mails, the server is away for all.
    """

    def __init__(self, url: str, *, timeout: float = 10.0, idle: float = 30.0, refusals: int = 3) -> None:
        self._settings = parse(url)
        self._tls = tls_context(self._settings)
        self._timeout, self._idle, self._refusals = timeout, idle, refusals
        self._kept = _Kept()
        self._open: WeakSet[Session] = WeakSet()

    def send(self, mail: Mail) -> str | None:
        """Send one mail; return only after the server's 250 to the content. See `notifier.senders.Sender`."""
        content = mime.write(mail)
        try:
            reference = self._begin(mail, time.monotonic() + self._timeout).finish(content)
        except BaseException as error:  # a worker's time limit interrupts with a BaseException
            session = self._kept.session
            if not (isinstance(error, MailRefused) and session and session.is_ready_again()):
                self._drop()
            self._kept.refusals = self._kept.refusals + 1 if isinstance(error, SendingRefused) else 0
            if self._kept.refusals < self._refusals:
                raise
            self._kept.refusals = 0
            raise ServerAway(f"{error}; so were the {self._refusals - 1} mails before, and the rest wait") from error
        self._kept.refusals = 0
        return reference

    def close(self) -> None:
        """Say goodbye on every thread's connection and close it, once no thread sends any more."""
        for session in list(self._open):
            session.deadline = time.monotonic() + 1.0
            with suppress(OSError):
                session.putcmd("QUIT")
            session.close()

    def _begin(self, mail: Mail, deadline: float) -> Session:
        """Begin on the kept connection. If that fails it may be stale or used up, so begin on a new one."""
        kept = self._kept.session
        if kept and time.monotonic() - kept.heard < self._idle:
            kept.deadline = deadline
            with suppress(MailDeferred, MailRefused):
                kept.begin(mail)
                return kept
        self._drop()
        session = self._kept.session = open_session(self._settings, self._tls, deadline)
        self._open.add(session)
        session.begin(mail)
        return session

    def _drop(self) -> None:
        if self._kept.session:
            self._kept.session.close()
        self._kept.session = None
