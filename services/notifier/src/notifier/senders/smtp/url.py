"""MAIL_URL for SMTP: where the mail server is, how to log in, and how the connection is kept private.

`smtp://host`: port 25, STARTTLS if the server offers it, none to this same machine. `smtp://user:password@host`: port
587, STARTTLS, or nothing is sent, so no password crosses the network in clear. `smtps://…`: port 465, TLS at once.
`?starttls=never|if-offered|required` and `?verify=no` say otherwise (for a private authority rather set OpenSSL's own
`SSL_CERT_FILE`); `?auth=login,plain` which mechanisms may be tried; `?ehlo=mail.example.org` sets our name.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from notifier.errors import MailUrlInvalid

MECHANISMS = ("cram-md5", "plain", "login")
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII | re.IGNORECASE)

_THIS_MACHINE = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")  # often with a certificate that nobody signed
_OPTION = re.compile(
    rf"starttls=(never|if-offered|required)|verify=(yes|no)|auth=(?i:{'|'.join(MECHANISMS)}|,(?!,|$))+"
    rf"|ehlo=(?i:{HOST_NAME.pattern}|\[(IPv6:)?[0-9a-f.:]+\])",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """A mail server. `starttls`: see above. An empty `user` means no login, an empty `ehlo` this machine's name."""

    host: str
    port: int
    implicit_tls: bool = False
    starttls: str = "if-offered"
    verify: bool = True
    user: str = ""
    password: str = field(default="", repr=False)
    auth: frozenset[str] = frozenset(MECHANISMS)
    ehlo: str = ""


def parse(url: str) -> SmtpSettings:
    """Read a MAIL_URL; MailUrlInvalid says what is wrong, without the URL, which may hold a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise MailUrlInvalid("its host or port can't be read; percent-encode / ? # @ : in the password") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options, implicit = dict(pairs), parts.scheme == "smtps"
    if not host or port == 0:
        raise MailUrlInvalid("it has no host, or no usable port")
    if parts.path not in ("", "/") or parts.fragment:
        raise MailUrlInvalid("nothing but ?options may follow the port; percent-encode / ? # in user and password")
    if bool(user) != bool(password) or not (user + password).isascii():
        raise MailUrlInvalid("give both user and password, or neither, in ASCII")
    if len(options) < len(pairs) or not all(_OPTION.fullmatch("=".join(pair)) for pair in pairs):
        known = "starttls=never|if-offered|required, verify=yes|no, auth=cram-md5,plain,login and ehlo=NAME (in ASCII)"
        raise MailUrlInvalid(f"after the ? it takes only {known}, each once")
    if ("auth" in options and not user) or (implicit and "starttls" in options):
        raise MailUrlInvalid(
            "auth= needs a user and password, and starttls= needs smtp://: smtps:// is encrypted anyway"
        )
    default = "required" if user else "never" if _THIS_MACHINE.fullmatch(host) else "if-offered"
    starttls = "never" if implicit else options.get("starttls", default)
    port = port or (465 if implicit else 587 if user else 25)
    auth = frozenset(options.get("auth", ",".join(MECHANISMS)).lower().split(","))
    verify, ehlo = options.get("verify") != "no", options.get("ehlo", "")
    return SmtpSettings(host, port, implicit, starttls, verify, user=user, password=password, auth=auth, ehlo=ehlo)
