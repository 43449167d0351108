"""The first words of a server, and what it is if they aren't a mail server's.

A port for TLS and one for HTTP both wait in silence for the client to speak first. A server that has been silent for
most of the time is lost as a mail server. So it is sent what makes either of the two answer, and the answer shows which
it is.
"""

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from notifier.privacy import Hidden
from notifier.smtp.replies import readable

if TYPE_CHECKING:
    from notifier.smtp.connection import Connection

PATIENCE = 0.9
"""The share of the time for which the first word is awaited; the rest is for finding out what the server is."""

_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_HTTP = (b"HTTP/", b"<")


class NoMailServer(OSError):
    """Something else than a mail server answers, or nothing does. Check the scheme, host and port in SMTP_URL."""


def await_first_words(connection: "Connection") -> None:
    """Wait for the server to begin; what it has said stays to be read.

    Raises:
        NoMailServer: it is none.
        OSError: the connection has failed.
    """
    whole, connection.deadline = connection.deadline, connection.deadline.part(PATIENCE)
    try:
        heard = connection.peek()
    except TimeoutError:
        connection.deadline = whole
        raise _stranger(_provoked(connection), silent=True) from None
    connection.deadline = whole
    if not heard[:1].isdigit():
        raise _stranger(heard)


def _provoked(connection: "Connection") -> bytes:
    """Begin TLS in the manner of an HTTP request; return what is answered, nothing if nothing is."""
    hello = b"" if isinstance(connection.sock, ssl.SSLSocket) else _client_hello(connection.host)
    with suppress(OSError):
        connection.send(hello + b"\r\n\r\n" if hello else b"QUIT\r\n\r\n")
        return connection.peek()
    return b""


def _client_hello(host: str) -> bytes:
    outgoing = ssl.MemoryBIO()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def _stranger(heard: bytes, *, silent: bool = False) -> NoMailServer:
    if heard.startswith(_TLS_RECORDS):
        return NoMailServer("the port speaks TLS from the first byte: write smtps:// in SMTP_URL")
    if heard.startswith(_HTTP):
        return NoMailServer("an HTTP server answers, not a mail server: check the port in SMTP_URL")
    if heard and not silent:
        said = readable(heard, Hidden())
        return NoMailServer(f"no mail server answers: it says {said!r}. Check the port in SMTP_URL")
    what = "the server took too long to say anything" if silent else "the server hung up without a word"
    return NoMailServer(
        f"{what}: check host and port in SMTP_URL, and write smtps:// for a port that speaks TLS at once"
    )
