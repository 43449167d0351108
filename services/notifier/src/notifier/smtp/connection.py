"""A connection to an SMTP server on which every wait ends at one deadline, however slowly the server dribbles.

smtplib speaks; this class replaces the three places where it touches the network (connect, write, read), since a
socket's own timeout starts anew with each byte. Only the lookup of the host's name has no limit but the
resolver's.
"""

import io
import select
import smtplib
import socket
import ssl
from typing import TYPE_CHECKING

from notifier.smtp.deadline import Deadline
from notifier.smtp.greeting import NoMailServer, first_words
from notifier.smtp.login import Login
from notifier.smtp.url import HOST_NAME, SmtpSettings

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_READY = 220
_IN_CLEAR = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
"""What OpenSSL calls it when the server's first bytes aren't TLS."""


class Connection(smtplib.SMTP):
    """A connection that is made by `open`. `deadline` is set anew for each mail; `step`: what `open` is about."""

    def __init__(self, settings: SmtpSettings, tls: ssl.SSLContext, deadline: Deadline) -> None:
        self.deadline = deadline
        self.step = "connect"
        self.host = settings.host
        self._settings = settings
        self._tls = tls
        super().__init__(local_hostname=settings.ehlo or "localhost")

    def open(self, login: Login) -> None:
        """Connect, be greeted, encrypt and log in as the settings ask.

        Raises:
            OSError, ValueError: no usable connection, and nothing stays open; `step` tells how far it came.
        """
        try:
            self._prepare(login)
        except BaseException:
            self.close()
            raise

    def timed_socket(self, seconds: float | None = None) -> socket.socket:
        """Give the socket, set to wait for so many seconds, or no longer than the deadline."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        self.sock.settimeout(self.deadline.left() if seconds is None else seconds)
        return self.sock

    def has_hung_up(self) -> bool:
        """Tell whether the server has closed the connection, or says something that nobody has asked for."""
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
        if self.file is None:
            self.file = io.BufferedReader(_Replies(self))
        return super().getreply()

    def peek(self) -> bytes:
        """Wait for the server to say something; it stays to be read. Nothing, if the server has hung up."""
        if self.file is None:
            self.file = io.BufferedReader(_Replies(self))
        return self.file.peek()

    def _prepare(self, login: Login) -> None:
        self.sock = self._connected()
        if self._settings.implicit_tls:
            self._encrypt()
        self._hear_greeting()
        self.local_hostname = self._settings.ehlo or _own_name(self.timed_socket())
        self._introduce()
        self._upgrade_if_asked()
        if self._settings.user:
            login.on(self)

    def _connected(self) -> socket.socket:
        """Connect. Each of the host's addresses gets a share of the time."""
        port = self._settings.port
        addresses = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)
        failure = OSError("the host has no address")
        for shares, (*_, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                return socket.create_connection((str(address[0]), port), self.deadline.left() / shares)
            except OSError as error:
                failure = error
        raise failure

    def _hear_greeting(self) -> None:
        self.step = "greeting"
        first_words(self)
        code, text = self.getreply()
        if code != _READY:
            raise smtplib.SMTPConnectError(code, text)

    def _introduce(self) -> None:
        self.step = "EHLO"
        self.ehlo_or_helo_if_needed()

    def _upgrade_if_asked(self) -> None:
        offered = self.has_extn("starttls")
        if self._settings.starttls == "required" and not offered:
            self.step = "STARTTLS"
            raise smtplib.SMTPNotSupportedError("it offers no STARTTLS: use smtps://, or ?starttls=never in clear")
        if self._settings.starttls != "never" and offered:
            self._upgrade()

    def _upgrade(self) -> None:
        """Start TLS. What the server said in clear, its features included, is forgotten (RFC 3207)."""
        self.step = "STARTTLS"
        code, text = self.docmd("STARTTLS")
        if code != _READY:
            raise smtplib.SMTPResponseException(code, text)
        self._encrypt()
        self.file = self.helo_resp = self.ehlo_resp = None
        self.does_esmtp = False
        self._introduce()

    def _encrypt(self) -> None:
        self.step = "TLS handshake"
        try:
            self.sock = self._tls.wrap_socket(self.timed_socket(), server_hostname=self.host)
        except ssl.SSLError as error:
            if not self._settings.implicit_tls or error.reason not in _IN_CLEAR:
                raise
            raise NoMailServer("the server answers in clear: write smtp:// in SMTP_URL, or its port for TLS") from None


class _Replies(io.RawIOBase):
    """What the server sends; each read waits for what is left of the deadline."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Wait for the server until the deadline, and do what falls due meanwhile."""
        while True:
            sock = self._connection.timed_socket(self._connection.deadline.patience())
            try:
                return sock.recv_into(buffer)
            except TimeoutError:
                continue  # an errand is due, or the deadline is over: patience() knows


def tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    """Make the context that all connections share: loading the authorities takes longer than a mail."""
    if not settings.implicit_tls and settings.starttls == "never":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and it would trust nobody
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
