"""One mail after another on one connection, and what became of each.

The boundary: until the content goes to the socket nothing can have been accepted, so a failure is MailDeferred
or MailRefused. From that moment on the final dot may have left, and only the server's reply tells: without one
it is MailUncertain, which must never be told as deferred, or the mail could be sent twice unasked.
"""

import contextlib
import smtplib
import ssl
import time

from notifier.email import Mail
from notifier.errors import MailDeferred, MailRefused, MailUncertain, ServerAway
from notifier.smtp_connection import Connection
from notifier.smtp_deadline import Deadline
from notifier.smtp_replies import ACCEPTED, GO_AHEAD, PERMANENT, TRANSIENT, describe, readable, refusal
from notifier.smtp_url import SmtpSettings

_DATA = "DATA\r\n"


class Session(Connection):
    """A connection that sends mails: `begin`, then `finish`, for each.

    Where the server offers PIPELINING the whole envelope is one write (RFC 2920, with DATA as the last of the group):
    two waits for each mail instead of four. The boundary stays, for the content is written only after the 354.
    """

    idle_since = 0.0
    _at_once = False

    def begin(self, mail: Mail) -> None:
        """Name the sender. Nothing of the content has left: after a failure another connection may try.

        Raises:
            MailRefused, MailDeferred: see `notifier.errors`.
        """
        plain = (mail.sender + mail.recipient).isascii()
        if not plain and not self.has_extn("smtputf8"):
            raise MailRefused("the mail server offers no SMTPUTF8, which this address's local part needs")
        self.command_encoding = "ascii" if plain else "utf-8"
        self._at_once = self.has_extn("pipelining")
        sender = f"MAIL FROM:<{mail.sender}>{'' if plain else ' SMTPUTF8 BODY=8BITMIME'}\r\n"
        self._say("MAIL", sender + (_recipient(mail) + _DATA if self._at_once else ""))
        self._want("MAIL", ACCEPTED, unread=2)

    def finish(self, mail: Mail) -> None:
        """Name the recipient and hand over the content; return only after the server's 250 to that.

        Raises:
            MailRefused, MailDeferred, MailUncertain: see `notifier.errors`.
        """
        if not self._at_once:
            self._say("RCPT", _recipient(mail))
        self._want("RCPT", ACCEPTED, unread=1)
        if not self._at_once:
            self._say("DATA", _DATA)
        self._want("DATA", GO_AHEAD)
        content = dot_stuffed(mail.content)
        try:
            self.send(content)
            code, text = self.getreply()
        except OSError as error:
            raise MailUncertain(f"content sent, no reply: {describe(error)}") from error
        if code in TRANSIENT or code in PERMANENT:
            raise refusal("content", code, text)
        if code not in ACCEPTED:
            raise MailUncertain(f"content sent, no clear reply: {readable(text)}")
        self.idle_since = time.monotonic()

    def reset(self) -> bool:
        """Forget a refused mail, so that the connection can serve the next; False if it can't."""
        try:
            ready = self.rset()[0] in ACCEPTED
        except OSError:
            ready = False
        self.idle_since = time.monotonic()
        return ready

    def leave(self) -> None:
        """Say goodbye without waiting for an answer, and close."""
        with contextlib.suppress(OSError):
            self.putcmd("QUIT")
        self.close()

    def _say(self, verb: str, commands: str) -> None:
        try:
            self.send(commands)
        except OSError as error:
            raise MailDeferred(f"{verb}: {describe(error)}") from error

    def _want(self, verb: str, hoped: range, unread: int = 0) -> None:
        """Want a good reply. After another, `unread` more are to come where the envelope was sent at once."""
        try:
            code, text = self.getreply()
        except OSError as error:
            raise MailDeferred(f"{verb}: {describe(error)}") from error
        if code in hoped:
            return
        answer = refusal(verb, code, text)
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
    """Connect, encrypt and log in.

    Raises:
        ServerAway: whatever goes wrong here is a matter of the server or the settings, never of one mail.
    """
    try:
        return Session(settings, tls, deadline)
    except (OSError, ValueError) as error:
        raise ServerAway(f"no connection to the mail server: {describe(error)}") from error


def dot_stuffed(content: bytes) -> bytes:
    """Add the dots and the end of RFC 5321.

    What has CRLF alone and no line that begins with a dot, as our own mails do, is left as it is, at a fortieth of the
    time. smtplib's function for the rest knows str alone, and Latin-1 keeps every byte.
    """
    lines = content.count(b"\r\n")
    if not (content.endswith(b"\r\n") and content.count(b"\r") == content.count(b"\n") == lines) or _dotted(content):
        content = smtplib.quotedata(content.decode("latin-1")).encode("latin-1")
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def _dotted(content: bytes) -> bool:
    return content.startswith(b".") or b"\r\n." in content


def _recipient(mail: Mail) -> str:
    return f"RCPT TO:<{mail.recipient}>\r\n"
