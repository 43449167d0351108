"""What a server is whose first words aren't a mail server's.

A port for TLS and one for HTTP both wait in silence for the client to speak first. A server that was silent for most of
the time is of no use for this mail, so it is sent what makes either of the two answer.
"""

import ssl
from contextlib import suppress

_MEANINGS = {
    (b"\x15\x03", b"\x16\x03"): "the port speaks TLS from the first byte: write smtps:// in MAIL_URL",
    (b"HTTP/", b"<"): "an HTTP server answers, not a mail server: check the port in MAIL_URL",
}


def provocation(host: str) -> bytes:
    """Begin TLS in the manner of an HTTP request."""
    outgoing = ssl.MemoryBIO()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read() + b"\r\n\r\n"


def stranger(heard: bytes, *, silent: bool) -> OSError:
    """Return the error for these first words. `silent`: they came only after the provocation."""
    for beginnings, meaning in _MEANINGS.items():
        if heard.startswith(beginnings):
            return OSError(meaning)
    if heard and not silent:  # the server knows nothing of us yet that it could repeat
        said = "".join(each for each in heard[:100].decode(errors="replace") if each.isprintable())
        return OSError(f"no mail server answers: it says {said!r}. Check the port in MAIL_URL")
    what = "the server took too long to say anything" if silent else "the server hung up without a word"
    return OSError(f"{what}: check host and port in MAIL_URL, and write smtps:// for a port that speaks TLS at once")
