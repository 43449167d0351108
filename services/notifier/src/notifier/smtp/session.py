"""One mail after another on one connection, and what became of each.

The boundary: until the content goes to the socket nothing can have been accepted, so a failure is MailDeferred
or MailRefused. From that moment on the final dot may have left, and only the server's reply tells: without one
it is MailUncertain, which must never be told as deferred, or the mail could be sent twice unasked.

A mail may be announced: its envelope is written before its turn. If another comes instead, or none, the connection must
be closed, for the server takes whatever comes for the content.
"""

import contextlib
import ssl
import time

from notifier.email import Mail
from notifier.errors import MailDeferred, MailRefused, MailUncertain, ServerAway
from notifier.privacy import Hidden
from notifier.smtp.commands import DATA, dot_stuffed, envelope, is_plain, recipient, sender
from notifier.smtp.connection import Connection
from notifier.smtp.deadline import Deadline
from notifier.smtp.login import Login, LoginCutShort
from notifier.smtp.replies import ACCEPTED, GO_AHEAD, PERMANENT, TRANSIENT, describe, readable, refusal
from notifier.smtp.url import SmtpSettings

_ANNOUNCED_SECONDS = 1.0
"""For so long after the server was heard it is trusted to wait for an announced mail's content."""


class Session(Connection):
    """A connection that sends mails: `begin`, then `finish`, for each.

    Where the server offers PIPELINING the whole envelope is one write (RFC 2920, with DATA as the last of the group),
    and that of the next mail goes with the content of the one before: one wait for each mail instead of four. The
    boundary stays, for the content is written only after the 354.
    """

    announced: Mail | None = None
    _hidden = Hidden()
    _heard = 0.0
    _at_once = False

    def is_good_for(self, mail: Mail, idle: float) -> bool:
        """Tell whether the server is likely to be ready for this mail. `idle`: seconds for which a silent one is."""
        silent = time.monotonic() - self._heard
        if self.announced is None:
            return silent < idle
        return silent < min(idle, _ANNOUNCED_SECONDS) and envelope(self.announced) == envelope(mail)

    def announce(self, mail: Mail) -> None:
        """Write a mail's envelope before its turn, where the server allows that.

        Raises:
            MailDeferred: the connection is broken, or nobody knows how much has left.
        """
        if announcement := self._announcement(mail):
            self._heard = time.monotonic()
            self._say("MAIL", announcement)

    def begin(self, mail: Mail) -> None:
        """Name the sender. Nothing of the content has left: after a failure another connection may try.

        Raises:
            MailRefused, MailDeferred: see `notifier.errors`.
        """
        self._hidden = Hidden(mail.recipient, mail.name, (self._settings.password,))
        announced, self.announced = self.announced, None
        if announced is None:
            plain = is_plain(mail)
            if not plain and not self.has_extn("smtputf8"):
                raise MailRefused("the mail server has no SMTPUTF8, which the local part of this address needs")
            self.command_encoding = "ascii" if plain else "utf-8"
            self._at_once = self.has_extn("pipelining")
            self._say("MAIL", envelope(mail) if self._at_once else sender(mail))
        self._want("MAIL", ACCEPTED, unread=2)

    def finish(self, mail: Mail, following: Mail | None = None) -> None:
        """Name the recipient and hand over the content; return only after the server's 250 to that.

        `following`: what will come next; its envelope may go with the content.

        Raises:
            MailRefused, MailDeferred, MailUncertain: see `notifier.errors`.
        """
        if not self._at_once:
            self._say("RCPT", recipient(mail))
        self._want("RCPT", ACCEPTED, unread=1)
        if not self._at_once:
            self._say("DATA", DATA)
        self._want("DATA", GO_AHEAD)
        if self.has_hung_up():
            raise MailDeferred("DATA: the server closed the connection instead of accepting the content")
        content = dot_stuffed(mail.content)
        announcement = self._announcement(following) if following else ""
        try:
            self.send(content + announcement.encode("ascii"))
            code, text = self.getreply()
        except OSError as error:
            raise MailUncertain(f"content sent, no reply: {describe(error, self._hidden)}") from error
        self._heard = time.monotonic()
        if code in TRANSIENT or code in PERMANENT:
            raise refusal("content", code, text, self._hidden)
        if code not in ACCEPTED:
            raise MailUncertain(f"content sent, no clear reply: {readable(text, self._hidden)}")

    def reset(self) -> bool:
        """Forget a refused mail, so that the connection can serve the next; False if it can't."""
        if self.announced:
            return True  # its envelope comes after the refused content
        try:
            ready = self.rset()[0] in ACCEPTED
        except OSError:
            ready = False
        self._heard = time.monotonic()
        return ready

    def leave(self) -> None:
        """Say goodbye without waiting for an answer, and close."""
        if self.announced is None:
            with contextlib.suppress(OSError):
                self.putcmd("QUIT")
        self.close()

    def _announcement(self, mail: Mail) -> str:
        """Return the envelope to be written ahead; nothing, where that can't be."""
        if self.announced or not (is_plain(mail) and self.has_extn("pipelining")):
            return ""
        self.announced, self._at_once, self.command_encoding = mail, True, "ascii"
        return envelope(mail)

    def _say(self, verb: str, commands: str) -> None:
        try:
            self.send(commands)
        except OSError as error:
            raise MailDeferred(f"{verb}: {describe(error, self._hidden)}") from error

    def _want(self, verb: str, hoped: range, unread: int = 0) -> None:
        """Want a good reply. After another, `unread` more are to come where the envelope was sent at once."""
        try:
            code, text = self.getreply()
        except OSError as error:
            raise MailDeferred(f"{verb}: {describe(error, self._hidden)}") from error
        if code in hoped:
            return
        answer = refusal(verb, code, text, self._hidden)
        if self._at_once and isinstance(answer, MailRefused):  # otherwise this connection has seen its last mail
            self._take_back(unread)
        raise answer

    def _take_back(self, unread: int) -> None:
        """Read the replies to the rest of a refused envelope; a server that wants content all the same gets none.

        If that fails the connection is of no more use, as the next command on it will show.
        """
        with contextlib.suppress(OSError):
            replies = [self.getreply()[0] for _ in range(unread)]
            if replies and replies[-1] in GO_AHEAD:
                self.send(".\r\n")
                self.getreply()


def open_session(settings: SmtpSettings, tls: ssl.SSLContext, deadline: Deadline) -> Session:
    """Connect, encrypt and log in; on another connection, where the server hung up on a login and there are others.

    Raises:
        ServerAway: whatever goes wrong here is a matter of the server or the settings, never of one mail.
    """
    hidden = Hidden(secrets=(settings.password, settings.user))
    login = Login(settings, hidden)
    while True:
        session = Session(settings, tls, deadline)
        try:
            session.open(login)
        except LoginCutShort:
            continue
        except (OSError, ValueError) as error:
            steps = login.failures | {session.step: describe(error, hidden)}
            raise ServerAway("; ".join(f"{step}: {fault}" for step, fault in steps.items())) from None
        return session
