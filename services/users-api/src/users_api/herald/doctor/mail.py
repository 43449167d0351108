"""Does the mail server answer? Nothing is sent; `notifier send-test` does that."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from users_api.herald.doctor.finding import Finding

TIMEOUT = 5.0
PORTS = {"smtp": 25, "smtps": 465}
GREETING = b"220"

REMEDY = "Mails wait, and are sent when it answers. Start it, or correct the notifier's MAIL_URL."


def check(url: str | None) -> Iterator[Finding]:
    """Connect, and read the greeting of a server that speaks SMTP without TLS."""
    if not url:
        yield Finding("mail server", "look", "MAIL_URL isn't set here", "Set it, or run: notifier send-test")
        return
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443)
    except ValueError:
        yield Finding("mail server", "wrong", "MAIL_URL isn't a URL", "Correct it. (It isn't shown: see .env.example.)")
        return
    try:
        with socket.create_connection((host, port), TIMEOUT) as connection:
            greeting = connection.recv(200) if parts.scheme == "smtp" else GREETING
    except OSError as error:
        yield Finding("mail server", "wrong", f"{host}:{port}: {error.strerror or error}", REMEDY)
        return
    if greeting.startswith(GREETING):
        yield Finding("mail server", "ok", f"{host}:{port} answers")
    else:
        said = greeting.decode("ascii", "replace").strip()
        yield Finding("mail server", "wrong", f"{host}:{port} says {said!r}", REMEDY)
