"""What the server's replies mean, and how they are told: short, on one line, without what must stay hidden."""

import smtplib
import ssl

from notifier.errors import MailDeferred, MailRefused, SendingRefused
from notifier.privacy import Hidden
from notifier.smtp.faults import is_about_this_mail

ACCEPTED = range(200, 300)
GO_AHEAD = range(354, 355)
TRANSIENT = range(400, 500)
PERMANENT = range(500, 600)

_LIMIT = 200
_REMEDY = "not about this mail: see SMTP_URL, MAIL_FROM and the provider's limits"


def refusal(stage: str, code: int, text: bytes, hidden: Hidden) -> MailRefused | MailDeferred:
    """Say what a reply other than the hoped for one means, as long as it is a reply."""
    message = f"{stage}: {code} {readable(text, hidden)}"
    if code not in PERMANENT:
        return MailDeferred(message)
    if is_about_this_mail(stage, code, hidden.out_of(_decoded(text))):
        return MailRefused(message)
    return SendingRefused(f"{message} ({_REMEDY})")


def describe(error: Exception, hidden: Hidden) -> str:
    """Tell a failure to an operator, with the remedy where there is one."""
    if isinstance(error, smtplib.SMTPResponseException):
        remedy = " (?ehlo=NAME in SMTP_URL sets the name we give)" if isinstance(error, smtplib.SMTPHeloError) else ""
        return f"{error.smtp_code} {readable(error.smtp_error, hidden)}{remedy}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}: trust it with SSL_CERT_FILE, or not at all with ?verify=no in SMTP_URL"
    return readable(str(error) or type(error).__name__, hidden)


def readable(text: bytes | str, hidden: Hidden) -> str:
    """Make a server's words fit to be logged and stored."""
    line = "".join(c if c.isprintable() else " " for c in hidden.out_of(_decoded(text)))
    return " ".join(line.split())[:_LIMIT]


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
