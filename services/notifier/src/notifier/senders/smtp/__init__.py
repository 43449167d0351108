"""The SMTP sender, `MAIL_URL=smtp://…`: one kept connection for each thread, one deadline for each mail."""

import threading
import time
from contextlib import suppress

from messaging.privacy import Hidden
from notifier.errors import MailDeferred, MailRefused, ServerAway
from notifier.mail import Mail
from notifier.refusals import Refusals
from notifier.senders.smtp import mime
from notifier.senders.smtp.connection import tls_context
from notifier.senders.smtp.replies import describe
from notifier.senders.smtp.session import Session
from notifier.senders.smtp.url import parse


class _Kept(threading.local):
    session: Session | None = None


class Sender:
    """Sends mails to one server; threads may share it. `timeout`: seconds for one mail, connecting included.

    `idle`: seconds after which a kept connection isn't trusted: servers and firewalls forget silent ones.
    """

    def __init__(self, url: str, *, timeout: float = 10.0, idle: float = 30.0) -> None:
        self._settings = parse(url)
        self._tls = tls_context(self._settings)
        self._timeout, self._idle = timeout, idle
        self._kept, self._refusals = _Kept(), Refusals()

    def send(self, mail: Mail) -> str | None:
        """Send one mail; return only after the server's 250 to the content. See `notifier.senders.Sender`."""
        deadline = time.monotonic() + self._timeout
        with self._refusals.counted():
            try:
                content = mime.write(mail)
                return self._begin(mail, deadline).finish(content)
            except BaseException:  # a worker's time limit interrupts with a BaseException
                self.close()  # replies may still be on their way, or the server may be weary of us
                raise

    def close(self) -> None:
        """Close this thread's connection, if it has one."""
        if self._kept.session:
            self._kept.session.close()
        self._kept.session = None

    def _begin(self, mail: Mail, deadline: float) -> Session:
        """Begin on the kept connection. If that fails it may be stale or used up, so begin on a new one."""
        kept = self._kept.session
        if kept and time.monotonic() - kept.heard < self._idle:
            kept.deadline = deadline
            with suppress(MailDeferred, MailRefused):
                kept.begin(mail)
                return kept
        self.close()
        session = self._kept.session = self._open(deadline)
        session.begin(mail)
        return session

    def _open(self, deadline: float) -> Session:
        """Connect and log in; ServerAway, because what goes wrong here is never a matter of one mail."""
        session = Session(self._settings, deadline)
        try:
            session.open(self._tls)
        except BaseException as error:
            session.close()
            if not isinstance(error, OSError | ValueError):  # a time limit
                raise
            hidden = Hidden(secrets=(self._settings.password, self._settings.user))
            raise ServerAway(f"{session.step}: {describe(error, hidden)}") from None
        return session
