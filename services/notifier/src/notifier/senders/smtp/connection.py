"""A connection to an SMTP server on which every wait ends at one deadline, however slowly the server dribbles.

smtplib speaks. This class writes and reads, because a socket's own timeout starts anew with each byte. Only the lookup
of the host's name has no limit but the resolver's.
"""

import io
import select
import smtplib
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from notifier.senders.smtp.greeting import provocation, stranger
from notifier.senders.smtp.url import HOST_NAME, SmtpSettings

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Connection(smtplib.SMTP):
    """A connection that is made by `open`. `step`: what it is doing.

    `deadline`: when all must be over, by the monotonic clock; it is set anew for each mail. `greeting_share`: of the
    time, for the server's first word; the rest is for finding out what the server is.
    """

    step = "connect"
    greeting_share = 0.9

    def __init__(self, settings: SmtpSettings, deadline: float) -> None:
        super().__init__(local_hostname="localhost")  # without a name it asks DNS
        self.settings, self.deadline, self._host = settings, deadline, settings.host

    def open(self, tls: ssl.SSLContext) -> None:
        """Connect, be greeted and encrypt; OSError or ValueError, if there is no usable connection."""
        address = self.settings.host, self.settings.port
        addresses = len(socket.getaddrinfo(*address, type=socket.SOCK_STREAM))
        self.sock = socket.create_connection(address, self.left() / addresses)
        if self.settings.implicit_tls:
            self.step = "TLS handshake"
            self.sock = tls.wrap_socket(self.timed_socket(), server_hostname=self._host)
        self.step = "greeting"
        self._await_greeting()
        code, text = self.getreply()
        if code != 220:  # noqa: PLR2004  # ready
            raise smtplib.SMTPConnectError(code, text)
        self.step = "EHLO"
        self.local_hostname = self.settings.ehlo or _own_name(self.timed_socket())
        self.ehlo_or_helo_if_needed()
        self.step = "STARTTLS"
        if self.settings.starttls != "never" and self.has_extn("starttls"):
            self.starttls(context=tls)  # what the server said in clear is forgotten (RFC 3207)
            self.ehlo_or_helo_if_needed()
        elif self.settings.starttls == "required":
            raise OSError("it offers no STARTTLS: use smtps://, or ?starttls=never in clear")

    def left(self) -> float:
        """Return the seconds until the deadline, always more than 0; TimeoutError, if it is over."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the mail server took too long")
        return left

    def timed_socket(self) -> socket.socket:
        """Return the socket, set to wait no longer than the deadline."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        self.sock.settimeout(self.left())
        return self.sock

    def has_hung_up(self) -> bool:
        """Return whether the server has closed the connection, or said something that it wasn't asked for."""
        poll = select.poll()
        poll.register(self.timed_socket(), select.POLLIN)
        return bool(poll.poll(0))

    def send(self, s: "ReadableBuffer | str") -> None:
        """Write all of it before the deadline."""
        rest = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        while rest:
            rest = rest[self.timed_socket().send(rest) :]

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply before the deadline."""
        self.file = self.file or io.BufferedReader(_Replies(self))
        return super().getreply()

    def _await_greeting(self) -> None:
        """Wait for the server to begin; what it says stays to be read. OSError, if it is no mail server."""
        self.file = replies = io.BufferedReader(_Replies(self))
        whole, self.deadline = self.deadline, time.monotonic() + self.left() * self.greeting_share
        try:
            heard, silent = replies.peek(), False
        except TimeoutError:
            heard, silent, self.deadline = b"", True, whole
            with suppress(OSError):
                self.send(b"QUIT\r\n" if self.settings.implicit_tls else provocation(self._host))
                heard = replies.peek()
        self.deadline = whole
        if silent or not heard[:1].isdigit():
            raise stranger(heard, silent=silent)


class _Replies(io.RawIOBase):
    """What the server sends. Each read waits no longer than the deadline."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        with suppress(TimeoutError):
            return self._connection.timed_socket().recv_into(buffer)
        raise TimeoutError("the mail server took too long")


def tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    """Make the context that all connections share: loading the authorities takes longer than a mail."""
    if not settings.implicit_tls and settings.starttls == "never":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and it would trust no server
    context = ssl.create_default_context()
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _own_name(sock: socket.socket) -> str:
    """Name this machine for EHLO: its full name, else its address. Not from DNS, which knows no deadline."""
    name = socket.gethostname()
    address = sock.getsockname()[0].partition("%")[0]
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    return name if "." in name and HOST_NAME.fullmatch(name) else literal
