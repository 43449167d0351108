"""What a server's refusal means for a mail, and how it is reported.

Only what can be about this recipient or this content may fail a mail. Everything else would fail every mail: a sender
that isn't ours, a used-up quota, a missing login, an unknown command. Most telling is the enhanced status (RFC 3463).
Without a clear one the code and the words decide. Sources: RFC 5248, Exchange Online, Gmail, eight servers' words.
"""

import re
import smtplib
import ssl

from messaging.privacy import Hidden
from notifier.errors import MailDeferred, MailRefused, RecipientRefused, SendingRefused

ACCEPTED, GO_AHEAD, REFUSED = range(200, 300), range(354, 355), range(400, 600)

_STATUS = re.compile(r"(?<![\w.])[45]\.(\d{1,3})\.(\d{1,3})(?!\.?\w)")
_IN_CLEAR = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")  # OpenSSL's
_VAGUE = {(2, 2), (4, 1), (4, 6), (7, 1)}  # besides X.Y.0, these mean different things to different servers
_OURS = {  # the details that aren't about a mail, for each subject of an enhanced status
    1: "7-8 20 90",  # the sender's address; 90: Exchange's daily limit of recipients
    2: "252",  # Exchange: may not send as this sender
    3: "0-3 5-999",  # the mail system; 5.3.4 is about the size of this mail
    4: "3 5",  # a directory that fails; Gmail's daily limit
    5: "1-999",  # the protocol
    7: "3-6 8-14 20-30 40"  # TLS, the login, DKIM, SPF, reverse DNS, a flood, DMARC
    " 54 57 60 64 139 520"  # Exchange: no relaying, no login, may not send as this sender
    " 232-236 700-750"  # Exchange: a tenant's daily limits, thresholds, reputation and domains
    " 501-503 506 508-509 511 515 606-649",  # Exchange: banned senders and addresses, HELO, DMARC
}
# A command or parameter that the server doesn't know or want now, a server that takes no mail, a login.
_CODES = {*range(500, 505), 521, *range(530, 540), 555}
_MAILBOX = {550, 551, 553}  # no such mailbox, not here, a name that isn't allowed
_MAY_CHANGE = re.compile(r"spam|block|black|polic|reput|quota|\bfull\b", re.IGNORECASE)
_WORDS = re.compile(
    r"""sender\ (address|identit|verif|domain|denied|(is\ )?not\b) | from\ address | send\ ?as(\b|denied) | \bnot\ owned
    | address\ is\ not\ verified | client\ host\b | helo\ command | relaying | relay\ (access|denied|not) | \bto\ relay
    | rcpthosts | \bauthenticat | unauthenticated | \blog\ ?in\b | \b(spf|dkim|dmarc|ptr)\b | \bcredits\b
    | (sending|submission|hourly|daily|monthly)\ (\w+\ ){0,2}(quota|limit|rate) | originating\ from\ your
    | sending\ (paused|denied|activity|disabled)""",
    re.IGNORECASE | re.VERBOSE,
)


def is_about_this_mail(stage: str, code: int, text: str) -> bool:
    """Return whether a permanent refusal of a stage (a command, or "content") can be about this recipient or content.

    `text`: the reply without what the recipient may have chosen.
    """
    found = _STATUS.search(text)
    subject, detail = (int(found[1]), int(found[2])) if found else (0, 0)
    if stage == "MAIL":  # the server knows only the sender yet, and whether the recipient's address isn't ASCII
        return (subject, detail) == (6, 7)
    spans = [span.partition("-") for span in _OURS.get(subject, "").split()]
    if any(int(first) <= detail <= int(last or first) for first, _, last in spans):
        return False
    if detail and (subject, detail) not in _VAGUE:
        return True
    return code not in _CODES and not _WORDS.search(text)


def is_about_the_address(stage: str, code: int, text: str) -> bool:
    """Return whether a refusal that is about this mail is for the recipient's address, and for good.

    A full mailbox, a size, a policy and a suspicion of spam may change.
    """
    if stage != "RCPT":
        return False
    if found := _STATUS.search(text):
        return found[1] == "1" or found.groups() == ("2", "1")
    return code in _MAILBOX and not _MAY_CHANGE.search(text)


def refusal(stage: str, code: int, text: bytes, hidden: Hidden) -> MailRefused | MailDeferred:
    """Return the error for a reply other than the wanted one, as long as it is a reply."""
    message = f"{stage}: {code} {hidden.out_of(text)}"
    if code < 500:  # noqa: PLR2004  # for the moment, or no refusal at all
        return MailDeferred(message)
    words = hidden.names_out_of(text)
    if is_about_this_mail(stage, code, words):
        return RecipientRefused(message) if is_about_the_address(stage, code, words) else MailRefused(message)
    return SendingRefused(f"{message} (not about this mail: see MAIL_URL, MAIL_FROM and the provider's limits)")


def describe(error: Exception, hidden: Hidden) -> str:
    """Describe a failure to an operator, with the remedy where there is one."""
    if isinstance(error, smtplib.SMTPResponseException):
        remedy = " (?ehlo=NAME in MAIL_URL sets the name we give)" if isinstance(error, smtplib.SMTPHeloError) else ""
        return f"{error.smtp_code} {hidden.out_of(error.smtp_error)}{remedy}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}: trust it with SSL_CERT_FILE, or not at all with ?verify=no in MAIL_URL"
    if isinstance(error, ssl.SSLError) and error.reason in _IN_CLEAR:
        return "the server answers in clear: write smtp:// in MAIL_URL, or its port for TLS"
    return str(error) or type(error).__name__  # our own words, or the operating system's
