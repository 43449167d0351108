"""SMTP_URL: where the mail server is, who we are to it, and how the connection is kept private.

| URL | port | TLS |
|---|---|---|
| `smtp://host` | 25 | STARTTLS if the server offers it; none to this same machine |
| `smtp://user:password@host` | 587 | STARTTLS, or nothing is sent: no password crosses the network in clear |
| `smtps://user:password@host` | 465 | from the first byte |

`?starttls=never|if-offered|required` and `?verify=no` say otherwise. Certificates are verified by default; for
a private authority set OpenSSL's own `SSL_CERT_FILE` rather than `verify=no`. The password is in no message and
no repr.

`?auth=plain`, `login`, `cram-md5` or some of them (`?auth=login,plain`) says which mechanisms may be tried, and in
which order; without it all of them that the server offers. `?ehlo=mail.example.org` is the name given to the server;
without it this machine's, if that has a domain, else its address.
"""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal, Self, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from notifier.errors import SmtpUrlInvalid

StartTls = Literal["never", "if-offered", "required"]

MECHANISMS = ("cram-md5", "plain", "login")
"""Of SMTP's AUTH, in the order in which they are tried."""

HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII | re.IGNORECASE)

_MECHANISM = f"({'|'.join(MECHANISMS)})"
_OPTIONS = {
    "starttls": re.compile("never|if-offered|required"),
    "verify": re.compile("yes|no"),
    "auth": re.compile(f"{_MECHANISM}(,{_MECHANISM})*", re.IGNORECASE),
    "ehlo": re.compile(rf"{HOST_NAME.pattern}|\[(IPv6:)?[0-9a-f.:]+\]", re.ASCII | re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """A mail server. `implicit_tls` (smtps) excludes STARTTLS; an empty `user` means no login.

    `auth`: the mechanisms to log in with, in order; empty, for all. `ehlo`: our name; empty, for this machine's.
    """

    host: str
    port: int
    implicit_tls: bool = False
    starttls: StartTls = "if-offered"
    verify: bool = True
    user: str = ""
    password: str = field(default="", repr=False)
    auth: tuple[str, ...] = ()
    ehlo: str = ""

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
        auth = _mechanisms(options.get("auth"), bool(user))
        ehlo = options.get("ehlo", "")
        return cls(host, port or default_port, implicit, starttls, verify, user, password, auth, ehlo)


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
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    known = all(name in _OPTIONS and _OPTIONS[name].fullmatch(value) for name, value in pairs)
    if not known or len(options) < len(pairs):
        raise _invalid(
            "after the ? it takes only starttls=never|if-offered|required, verify=yes|no, ehlo=NAME (ours, in ASCII)"
            f" and auth={'|'.join(MECHANISMS)} (or some of them, with commas), each once"
        )
    return options


def _mechanisms(asked: str | None, login: bool) -> tuple[str, ...]:
    if asked and not login:
        raise _invalid("auth= says how to log in, and it gives no user and password")
    return tuple(dict.fromkeys(asked.lower().split(","))) if asked else ()


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
