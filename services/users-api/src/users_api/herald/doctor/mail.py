"""Does the mail server answer? Nothing is sent; `notifier send-test` does that."""

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from users_api.herald.doctor.finding import Finding

TIMEOUT = 5.0
PROVIDERS = ("postmark", "sendgrid", "mailgun", "ses")
"""Schemes of providers, whose URLs have a key before the `@`."""

PORTS = {"smtp": 25, "smtps": 465, **dict.fromkeys(PROVIDERS, 443)}
GREETING = b"220"

REMEDY = "Mails wait, and are sent when it answers. Start it, or correct the notifier's MAIL_URL."


def check(url: str | None) -> Iterator[Finding]:
    """Connect, and read the greeting of a server that speaks SMTP without TLS."""
    if not url:
        yield Finding("mail server", "look", "MAIL_URL isn't set here", "Set it, or run: notifier send-test")
        return
    where = _where(url)
    if where is None:
        remedy = "Correct it, as .env.example has it. (It isn't shown: it may hold a password.)"
        yield Finding("mail server", "wrong", "MAIL_URL isn't the URL of a mail server", remedy)
        return
    scheme, host, port = where
    try:
        with socket.create_connection((host, port), TIMEOUT) as connection:
            greeting = connection.recv(200) if scheme == "smtp" else GREETING
    except OSError as error:
        yield Finding("mail server", "wrong", f"{host}:{port}: {error.strerror or error}", REMEDY)
        return
    if greeting.startswith(GREETING):
        yield Finding("mail server", "ok", f"{host}:{port} answers")
    else:
        said = greeting.decode("ascii", "replace").strip()
        yield Finding("mail server", "wrong", f"{host}:{port} says {said!r}", REMEDY)


def _where(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port; None, if a part of a password or key might be taken for one of these."""
    scheme, _, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    has_login = authority.count("@")
    if scheme not in PORTS or has_login != rest.count("@") or has_login > 1 or has_login < (scheme in PROVIDERS):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS[scheme]
    except ValueError:
        return None
    return (scheme, host, port) if host else None
