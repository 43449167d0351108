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
from notifier.errors import MailDeferred, MailRefused, MailUncertain
from notifier.smtp_connection import Connection, Deadline
from notifier.smtp_replies import ACCEPTED, GO_AHEAD, PERMANENT, TRANSIENT, describe, readable, refusal
from notifier.smtp_url import SmtpSettings


class Session(Connection):
    """A connection that sends mails: `begin`, then `finish`, for each."""

    idle_since = 0.0

    def begin(self, mail: Mail) -> None:
        """Name the sender. Nothing of the mail has left: after a failure another connection may try.

        Raises:
            MailRefused, MailDeferred: see `notifier.errors`.
        """
        plain = (mail.sender + mail.recipient).isascii()
        if not plain and not self.has_extn("smtputf8"):
            raise MailRefused("the mail server offers no SMTPUTF8, which this address's local part needs")
        self.command_encoding = "ascii" if plain else "utf-8"
        self._ask("MAIL", f"FROM:<{mail.sender}>{'' if plain else ' SMTPUTF8 BODY=8BITMIME'}", ACCEPTED)

    def finish(self, mail: Mail) -> None:
        """Name the recipient and hand over the content; return only after the server's 250 to that.

        Raises:
            MailRefused, MailDeferred, MailUncertain: see `notifier.errors`.
        """
        self._ask("RCPT", f"TO:<{mail.recipient}>", ACCEPTED)
        self._ask("DATA", "", GO_AHEAD)
        content = _dot_stuffed(mail.content)
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

    def _ask(self, verb: str, argument: str, hoped: range) -> None:
        """Send one command of the envelope, and want its good reply."""
        try:
            code, text = self.docmd(verb, argument)
        except OSError as error:
            raise MailDeferred(f"{verb}: {describe(error)}") from error
        if code not in hoped:
            raise refusal(verb, code, text)


def open_session(settings: SmtpSettings, tls: ssl.SSLContext, deadline: Deadline) -> Session:
    """Connect, encrypt and log in.

    Raises:
        MailDeferred: whatever goes wrong here is a matter of the server or the settings, never of one mail.
    """
    try:
        return Session(settings, tls, deadline)
    except (OSError, ValueError) as error:
        raise MailDeferred(f"no connection to the mail server: {describe(error)}") from error


def _dot_stuffed(content: bytes) -> bytes:
    """Add the dots and the end of RFC 5321; smtplib's function knows str alone, and Latin-1 keeps every byte."""
    stuffed = smtplib.quotedata(content.decode("latin-1")).encode("latin-1")
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")
