"""A connection to an SMTP server: connected, greeted, encrypted and logged in before one deadline.

Only the lookup of the host's name has no limit but the resolver's.
"""

import smtplib
import socket
import ssl

from notifier.smtp.deadline import Deadline
from notifier.smtp.greeting import NoMailServer, await_first_words
from notifier.smtp.login import Login
from notifier.smtp.url import HOST_NAME, SmtpSettings
from notifier.smtp.wire import Wire

_READY = 220
_IN_CLEAR = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
"""What OpenSSL calls it when the server's first bytes aren't TLS."""


class Connection(Wire):
    """A connection that is made by `open`. `deadline` is set anew for each mail; `step`: what `open` is about."""

    def __init__(self, settings: SmtpSettings, tls: ssl.SSLContext, deadline: Deadline) -> None:
        super().__init__(deadline)
        self.step = "connect"
        self.host = settings.host
        self._settings = settings
        self._tls = tls

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
        await_first_words(self)
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
