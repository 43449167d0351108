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
from notifier.smtp.url import SmtpSettings

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_READY = 220


class Connection(smtplib.SMTP):
    """Connected, greeted, encrypted and logged in as the settings ask. `deadline` is set anew for each mail.

    Raises:
        OSError, ValueError: no usable connection.
    """

    def __init__(self, settings: SmtpSettings, tls: ssl.SSLContext, deadline: Deadline) -> None:
        self.deadline = deadline
        self._settings = settings
        self._tls = tls
        super().__init__(settings.host, settings.port, local_hostname="localhost")
        try:
            self._prepare()
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

    def _get_socket(self, host: str, port: int, _timeout: object) -> socket.socket:
        """Connect (SMTP_SSL overrides this hook too). Each of the host's addresses gets a share of the time."""
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure = OSError("the host has no address")
        for shares, (*_, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                sock = socket.create_connection((str(address[0]), port), self.deadline.left() / shares)
            except OSError as error:
                failure = error
            else:
                return sock if not self._settings.implicit_tls else self._encrypt(sock)
        raise failure

    def _prepare(self) -> None:
        self.local_hostname = _own_name(self.timed_socket())
        self.ehlo_or_helo_if_needed()
        offered = self.has_extn("starttls")
        if self._settings.starttls == "required" and not offered:
            raise smtplib.SMTPNotSupportedError("it has no STARTTLS; use smtps://, or ?starttls=never, unencrypted")
        if self._settings.starttls != "never" and offered:
            self._upgrade()
        if self._settings.user:
            self.login(self._settings.user, self._settings.password)

    def _upgrade(self) -> None:
        """Start TLS. What the server said in clear, its features included, is forgotten (RFC 3207)."""
        code, text = self.docmd("STARTTLS")
        if code != _READY:
            raise smtplib.SMTPResponseException(code, text)
        self.sock, self.file = self._encrypt(self.timed_socket()), None
        self.helo_resp = self.ehlo_resp = None
        self.does_esmtp = False
        self.ehlo_or_helo_if_needed()

    def _encrypt(self, sock: socket.socket) -> ssl.SSLSocket:
        try:
            sock.settimeout(self.deadline.left())
            return self._tls.wrap_socket(sock, server_hostname=self._settings.host)
        except BaseException:
            sock.close()
            raise


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
    return name if "." in name and name.isascii() else literal
