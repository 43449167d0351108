"""What the server's replies mean, and how they are told: short, on one line, without any address."""

import re
import smtplib
import ssl

from notifier.errors import MailDeferred, MailRefused

ACCEPTED = range(200, 300)
GO_AHEAD = range(354, 355)
TRANSIENT = range(400, 500)
PERMANENT = range(500, 600)

#: They ask for TLS or for a (better) login: it is the settings that are wrong, not the mails of the meantime.
_SETTINGS_AT_FAULT = frozenset({530, 534, 535, 538})

_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
_LIMIT = 200


def refusal(stage: str, code: int, text: bytes) -> MailRefused | MailDeferred:
    """Say what a reply other than the hoped for one means, as long as it is a reply."""
    permanent = code in PERMANENT and code not in _SETTINGS_AT_FAULT
    kind = MailRefused if permanent else MailDeferred
    return kind(f"{stage}: {code} {readable(text)}")


def describe(error: Exception) -> str:
    """Tell a failure to an operator, with the remedy where there is one."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {readable(error.smtp_error)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}: trust it with SSL_CERT_FILE, or not at all with ?verify=no in SMTP_URL"
    return readable(str(error) or type(error).__name__)


def readable(text: bytes | str) -> str:
    """Make a server's words fit to be logged and stored."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    line = "".join(c if c.isprintable() else " " for c in _ADDRESS.sub("[address]", words))
    return " ".join(line.split())[:_LIMIT]
