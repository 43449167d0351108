"""One mail after another on one connection, and what became of each.

The boundary: until the content goes to the socket nothing can have been accepted, so a failure is MailDeferred or
MailRefused. From that moment on the final dot may have left, and only the server's reply tells: without one it is
MailUncertain, which must never be reported as deferred, or the mail could be sent twice unasked.
"""

import re
import time
from contextlib import suppress

from messaging.privacy import Hidden
from notifier.errors import MailDeferred, MailRefused, MailUncertain
from notifier.mail import Mail
from notifier.senders.smtp.connection import Connection
from notifier.senders.smtp.replies import ACCEPTED, GO_AHEAD, REFUSED, describe, refusal

_REFERENCE = re.compile(rb"\bqueued as ([\w.-]{1,100})", re.IGNORECASE)


class Session(Connection):
    """A connection that sends mails: `begin`, then `finish`, for each.

    Where the server offers PIPELINING the whole envelope is one write (RFC 2920, with DATA as the last of the group).
    The boundary stays, because the content is written only after the 354.
    """

    heard = 0.0
    _hidden = Hidden()
    _unsaid: dict[str, str]

    def begin(self, mail: Mail) -> None:
        """Name the sender. Nothing of the content has left: after a failure another connection may try."""
        sender, recipient = mail.sender.email, mail.recipient.email
        self._hidden = Hidden((mail.recipient.name, *recipient.split("@")), (self.settings.password,))
        utf8 = not recipient.isascii()
        if utf8 and not self.has_extn("smtputf8"):
            raise MailRefused("the mail server has no SMTPUTF8, which the local part of this address needs")
        self.command_encoding = "utf-8" if utf8 else "ascii"
        says_mail = f"MAIL FROM:<{sender}>{' SMTPUTF8 BODY=8BITMIME' if utf8 else ''}\r\n"
        self._unsaid = {"MAIL": says_mail, "RCPT": f"RCPT TO:<{recipient}>\r\n", "DATA": "DATA\r\n"}
        if self.has_extn("pipelining"):
            self._unsaid = {"MAIL": "".join(self._unsaid.values())}
        self._ask("MAIL", unread=2)

    def finish(self, content: bytes) -> str | None:
        """Name the recipient and hand over the content; return only after the server's 250 to that."""
        self._ask("RCPT", unread=1)
        self._ask("DATA", wanted=GO_AHEAD)
        if self.has_hung_up():
            raise MailDeferred("DATA: the server closed the connection instead of accepting the content")
        try:
            self.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            code, text = self.getreply()
        except OSError as error:
            raise MailUncertain(f"content sent, no reply: {describe(error, self._hidden)}") from error
        self.heard = time.monotonic()
        if code in REFUSED:
            raise refusal("content", code, text, self._hidden)
        if code not in ACCEPTED:
            raise MailUncertain(f"content sent, no clear reply: {self._hidden.out_of(text)}")
        found = _REFERENCE.search(text)
        return found[1].decode() if found else None

    def is_ready_again(self) -> bool:
        """Make the server forget a refused mail; return whether the connection can serve the next."""
        with suppress(OSError):
            return self.rset()[0] in ACCEPTED
        return False

    def _ask(self, verb: str, *, wanted: range = ACCEPTED, unread: int = 0) -> None:
        """Say what isn't said yet, and want a good reply. After another, `unread` more come if all was said at once."""
        try:
            if verb in self._unsaid:
                self.send(self._unsaid[verb])
            code, text = self.getreply()
        except OSError as error:
            raise MailDeferred(f"{verb}: {describe(error, self._hidden)}") from error
        self.heard = time.monotonic()
        if code in wanted:
            return
        answer = refusal(verb, code, text, self._hidden)
        if "DATA" not in self._unsaid and isinstance(answer, MailRefused):  # otherwise the connection is dropped
            self._take_back(unread)
        raise answer

    def _take_back(self, unread: int) -> None:
        """Read the replies to the rest of a refused envelope. A server that wants content all the same gets none."""
        with suppress(OSError):  # the next command on the connection will show it
            replies = [self.getreply()[0] for _ in range(unread)]
            if replies and replies[-1] in GO_AHEAD:
                self.send(".\r\n")
                self.getreply()
