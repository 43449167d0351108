"""One mail after another on one connection, and what became of each.

The boundary: until the content goes to the socket a failure is MailDeferred or MailRefused. From then on the final dot
may have left, and without a reply it is MailUncertain; reported as deferred, the mail would be sent twice unasked.
"""

import re
import time

from messaging.privacy import Hidden
from notifier.errors import MailDeferred, MailRefused, MailUncertain
from notifier.mail import Mail
from notifier.senders.smtp.connection import Connection
from notifier.senders.smtp.replies import ACCEPTED, GO_AHEAD, REFUSED, describe, refusal

_REFERENCE = re.compile(rb"\bqueued as ([\w.-]{1,100})", re.IGNORECASE)


class Session(Connection):
    """A connection that sends mails: `begin`, then `finish`, for each. `heard`: when the server replied last.

    Where the server offers PIPELINING the envelope is one write (RFC 2920); the content still waits for the 354.
    """

    heard = 0.0
    _hidden = Hidden()
    _unsent: dict[str, str]

    def begin(self, mail: Mail) -> None:
        """Name the sender. Nothing of the content has left: after a failure another connection may try."""
        sender, recipient = mail.sender.email, mail.recipient.email
        self._hidden = Hidden((mail.recipient.name, *recipient.split("@")), (self.settings.password,))
        utf8 = not recipient.isascii()
        if utf8 and not self.has_extn("smtputf8"):
            raise MailRefused("the mail server has no SMTPUTF8, which the local part of this address needs")
        self.command_encoding = "utf-8" if utf8 else "ascii"
        mail_from = f"MAIL FROM:<{sender}>{' SMTPUTF8 BODY=8BITMIME' if utf8 else ''}\r\n"
        self._unsent = {"MAIL": mail_from, "RCPT": f"RCPT TO:<{recipient}>\r\n", "DATA": "DATA\r\n"}
        if self.has_extn("pipelining"):
            self._unsent = {"MAIL": "".join(self._unsent.values())}
        self._command("MAIL")

    def finish(self, content: bytes) -> str | None:
        """Name the recipient and hand over the content; return only after the server's 250 to that."""
        self._command("RCPT")
        self._command("DATA", wanted=GO_AHEAD)
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
        reference = _REFERENCE.search(text)
        return reference[1].decode() if reference else None

    def _command(self, verb: str, *, wanted: range = ACCEPTED) -> None:
        """Send a command, unless it has left with the one before, and require a wanted reply."""
        try:
            if verb in self._unsent:
                self.send(self._unsent[verb])
            code, text = self.getreply()
        except OSError as error:
            raise MailDeferred(f"{verb}: {describe(error, self._hidden)}") from error
        self.heard = time.monotonic()
        if code not in wanted:
            raise refusal(verb, code, text, self._hidden)
