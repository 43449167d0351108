"""The mailer: one kept connection for each thread, one deadline for each mail.

Invariant: `Mailer.send` returns only after the server's 250 to the content. Otherwise it raises what became of
the mail (`notifier.errors`), and drops the connection unless the server is known to be ready for another mail.
"""

import math
import threading

from notifier.email import Mail
from notifier.errors import MailDeferred, MailRefused, SendingRefused, ServerAway
from notifier.smtp.connection import tls_context
from notifier.smtp.deadline import Deadline, Errand
from notifier.smtp.session import Session, open_session
from notifier.smtp.url import SmtpSettings

IN_A_ROW = 3
"""After so many refusals that aren't about their mails the server isn't asked for the rest: a quota isn't hammered."""


class _Kept(threading.local):
    session: Session | None = None
    refusals = 0


class Mailer:
    """Sends mails to one server; threads may share it.

    `timeout`: seconds for one mail, connecting included. `idle`: seconds after which a kept connection is not
    trusted any more, for servers and firewalls forget silent ones.
    """

    def __init__(self, settings: SmtpSettings, *, timeout: float = 10.0, idle: float = 30.0) -> None:
        self._settings = settings
        self._timeout = timeout
        self._idle = idle
        self._tls = tls_context(settings)
        self._kept = _Kept()
        self._open: set[Session] = set()
        self._lock = threading.Lock()

    def send(
        self, mail: Mail, *, within: float = math.inf, errand: Errand | None = None, following: Mail | None = None
    ) -> None:
        """Send one mail, `within` so many seconds at most; on return the server has accepted it.

        `errand`: what to do meanwhile, if the server takes its time; and before a new connection is made, which may.
        `following`: what this thread is to send next, which may be announced to the server. If it isn't, `withdraw`.

        Raises:
            MailRefused: the server refuses this mail for good.
            MailDeferred: certainly not accepted; try again later. ServerAway: nor would any other mail be.
                SendingRefused: that wasn't about this mail; the third in a row is a ServerAway.
            MailUncertain: sent, but nobody can know whether it was accepted.
        """
        deadline = Deadline(min(self._timeout, within), errand)
        try:
            self._begin(mail, deadline).finish(mail, following)
        except BaseException as error:  # a worker's time limit interrupts with a BaseException
            self._recover(error)
            self._count(error)
            raise
        self._kept.refusals = 0

    def announce(self, mail: Mail) -> None:
        """Write the envelope of what this thread is to send next, if that takes no time. If it isn't, `withdraw`."""
        session = self._kept.session
        if session is not None and session.is_good_for(mail, self._idle):
            session.deadline = Deadline(1.0)
            try:
                session.announce(mail)
            except MailDeferred:
                self._drop()

    def withdraw(self) -> None:
        """Send nothing more for now, whatever this thread has announced."""
        if self._kept.session is not None and self._kept.session.announced:
            self._drop()

    def close(self) -> None:
        """Close every thread's connection, once no thread sends any more."""
        with self._lock:
            sessions, self._open = self._open, set()
        deadline = Deadline(1.0)
        for session in sessions:
            session.deadline = deadline
            session.leave()

    def _begin(self, mail: Mail, deadline: Deadline) -> Session:
        """Begin on the kept connection; if that fails it may be stale or used up, so begin on a new one."""
        kept = self._kept.session
        if kept is not None and kept.is_good_for(mail, self._idle):
            kept.deadline = deadline
            try:
                kept.begin(mail)
            except (MailDeferred, MailRefused):
                pass
            else:
                return kept
        self._drop()
        session = self._connect(deadline)
        session.begin(mail)
        return session

    def _connect(self, deadline: Deadline) -> Session:
        deadline.before_long()
        session = open_session(self._settings, self._tls, deadline)
        self._kept.session = session
        with self._lock:
            self._open.add(session)
        return session

    def _recover(self, error: BaseException) -> None:
        """Keep the connection if the server refused this one mail and is ready for another."""
        session = self._kept.session
        if not (isinstance(error, MailRefused) and session is not None and session.reset()):
            self._drop()

    def _count(self, error: BaseException) -> None:
        """Turn the last of several refusals in a row into the word that no other mail need try."""
        self._kept.refusals = self._kept.refusals + 1 if isinstance(error, SendingRefused) else 0
        if self._kept.refusals == IN_A_ROW:
            self._kept.refusals = 0
            raise ServerAway(f"{error}; so were the {IN_A_ROW - 1} mails before, and the rest wait") from error

    def _drop(self) -> None:
        session, self._kept.session = self._kept.session, None
        if session is not None:
            with self._lock:
                self._open.discard(session)
            session.close()
