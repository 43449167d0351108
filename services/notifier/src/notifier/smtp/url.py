"""SMTP_URL: where the mail server is, who we are to it, and how the connection is kept private.

| URL | port | TLS |
|---|---|---|
| `smtp://host` | 25 | STARTTLS if the server offers it; none to this same machine |
| `smtp://user:password@host` | 587 | STARTTLS, or nothing is sent: no password crosses the network in clear |
| `smtps://user:password@host` | 465 | from the first byte |

`?starttls=never|if-offered|required` and `?verify=no` say otherwise. Certificates are verified by default; for
a private authority set OpenSSL's own `SSL_CERT_FILE` rather than `verify=no`. The password is in no message and
no repr.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal, Self, cast, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from notifier.errors import SmtpUrlInvalid

StartTls = Literal["never", "if-offered", "required"]


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """A mail server. `implicit_tls` (smtps) excludes STARTTLS; an empty `user` means no login."""

    host: str
    port: int
    implicit_tls: bool = False
    starttls: StartTls = "if-offered"
    verify: bool = True
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an SMTP_URL.

        Raises:
            SmtpUrlInvalid: says what is wrong and how to write it, without the URL: it may hold a password.
        """
        parts, port = _split(url)
        user, password = _credentials(parts)
        options = _options(parts)
        implicit = parts.scheme == "smtps"
        host = parts.hostname or ""
        default_port = 465 if implicit else 587 if user else 25
        starttls = _starttls(options.get("starttls"), implicit, bool(user), host)
        verify = options.get("verify", "yes") == "yes"
        return cls(host, port or default_port, implicit, starttls, verify, user, password)


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid("its host or port can't be read; percent-encode / ? # @ : in the password") from None
    if parts.scheme not in ("smtp", "smtps"):
        raise _invalid("it must begin with smtp:// or smtps://")
    if not parts.hostname or port == 0:
        raise _invalid("it has no host, or no usable port")
    if parts.path not in ("", "/") or parts.fragment:
        raise _invalid("nothing but ?options may follow the port; percent-encode / ? # in user and password")
    return parts, port


def _credentials(parts: SplitResult) -> tuple[str, str]:
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise _invalid("give both user and password, or neither")
    if not (user + password).isascii():
        raise _invalid("user and password must be ASCII, because SMTP's AUTH accepts nothing else")
    return user, password


def _options(parts: SplitResult) -> dict[str, str]:
    known = {"starttls": get_args(StartTls), "verify": ("yes", "no")}
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, value in options.items():
        if value not in known.get(name, ()):
            raise _invalid("after the ? it takes starttls=never|if-offered|required and verify=yes|no alone")
    return options


def _starttls(asked: str | None, implicit: bool, login: bool, host: str) -> StartTls:
    """Choose what protects the connection when the URL doesn't say: see the table above."""
    if implicit:
        if asked:
            raise _invalid("smtps:// is encrypted from the first byte; leave starttls out, or use smtp://")
        return "never"
    if asked:
        return cast(StartTls, asked)
    if login:
        return "required"
    return "never" if _is_loopback(host) else "if-offered"


def _is_loopback(host: str) -> bool:
    """A mail server on this machine often shows a certificate nobody signed, and nobody can listen in."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _invalid(fault: str) -> SmtpUrlInvalid:
    return SmtpUrlInvalid(
        f"SMTP_URL can't be used: {fault}. Write smtp://host:port, smtp://user:password@host or smtps://…"
    )
