"""A connection to an SMTP server on which every wait ends at one deadline, however slowly the server dribbles.

smtplib speaks; this class writes and reads, because a socket's own timeout starts anew with each byte. Only the lookup
of the host's name may take longer, and nothing is sent after that.
"""

import io
import select
import smtplib
import socket
import ssl
import time

from notifier.senders.smtp.url import HOST_NAME, SmtpSettings

_CHECK = "Check host and port in MAIL_URL: a port for TLS needs smtps://, and an HTTP port takes no mail"


class Connection(smtplib.SMTP):
    """A connection that `open` makes. `step`: what it is doing. `deadline`: of the current mail, by `monotonic`."""

    step = "connect"

    def __init__(self, settings: SmtpSettings, deadline: float) -> None:
        super().__init__(local_hostname="localhost")  # without a name it asks DNS
        self.settings, self.deadline, self._host = settings, deadline, settings.host

    def open(self, tls: ssl.SSLContext) -> None:
        """Connect, be greeted, encrypt and log in; OSError or ValueError, if there is no usable connection."""
        address = self.settings.host, self.settings.port
        addresses = len(socket.getaddrinfo(*address, type=socket.SOCK_STREAM))
        self.sock = socket.create_connection(address, self.left() / addresses)
        if self.settings.implicit_tls:
            self.step = "TLS handshake"
            self.sock = tls.wrap_socket(self.timed_socket(), server_hostname=self._host)
        self.step = "greeting"
        self._await_greeting()
        self.step = "EHLO"
        self.local_hostname = self.settings.ehlo or _own_name(self.timed_socket())
        self.ehlo_or_helo_if_needed()
        self.step = "STARTTLS"
        if self.settings.starttls != "never" and self.has_extn("starttls"):
            self.starttls(context=tls)  # what the server said in clear is forgotten (RFC 3207)
            self.ehlo_or_helo_if_needed()
        elif self.settings.starttls == "required":
            raise OSError("it offers no STARTTLS: use smtps://, or ?starttls=never in clear")
        if self.settings.user:
            self._log_in()

    def left(self) -> float:
        """Return the seconds until the deadline, more than 0; TimeoutError, if it is over."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the mail server took too long")
        return left

    def timed_socket(self) -> socket.socket:
        """Return the socket, set to wait no longer than the deadline."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        if abs((self.sock.gettimeout() or 1e9) - (left := self.left())) > 0.1:  # noqa: PLR2004  # a system call less
            self.sock.settimeout(left)
        return self.sock

    def has_hung_up(self) -> bool:
        """Return whether the server has closed the connection, or said something that it wasn't asked for."""
        poll = select.poll()
        poll.register(self.timed_socket(), select.POLLIN)
        return bool(poll.poll(0))

    def send(self, s: bytes | str) -> None:  # type: ignore[override]  # smtplib writes nothing else
        """Write all of it before the deadline."""
        rest = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        while rest:
            rest = rest[self.timed_socket().send(rest) :]

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply before the deadline."""
        self.file = self.file or io.BufferedReader(_Replies(self))
        return super().getreply()

    def _await_greeting(self) -> None:
        self.file = replies = io.BufferedReader(_Replies(self))
        try:
            first_words = replies.peek()
        except TimeoutError:
            raise OSError(f"the server took too long to say anything. {_CHECK}") from None
        if first_words.startswith((b"\x15\x03", b"\x16\x03")):
            raise OSError("the port speaks TLS from the first byte: write smtps:// in MAIL_URL")
        if not first_words[:1].isdigit():
            said = first_words[:100].decode(errors="replace")
            raise OSError(f"no mail server answers, it says {said!r}. {_CHECK}")
        code, text = self.getreply()
        if code != 220:  # noqa: PLR2004  # ready
            raise smtplib.SMTPConnectError(code, text)

    def _log_in(self) -> None:
        self.step = "login"
        offered = self.esmtp_features.get("auth", "").upper().split()
        allowed = [name for name in offered if name.lower() in self.settings.auth]
        if not allowed:
            raise OSError(f"the server offers none that ?auth= allows, but {offered}; many do only after STARTTLS")
        self.esmtp_features["auth"] = " ".join(allowed)
        self.login(self.settings.user, self.settings.password)


class _Replies(io.RawIOBase):
    """What the server sends, read before the deadline."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # BufferedReader gives nothing else
        return self._connection.timed_socket().recv_into(buffer)


def tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    """Make the context that all connections share: loading the authorities takes longer than a mail."""
    used = settings.implicit_tls or settings.starttls != "never"
    context = ssl.create_default_context() if used else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not settings.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _own_name(sock: socket.socket) -> str:
    """Name this machine for EHLO: its full name, else its address. Not from DNS, which knows no deadline."""
    name, address = socket.gethostname(), sock.getsockname()[0].partition("%")[0]
    if "." in name and HOST_NAME.fullmatch(name):
        return name
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
