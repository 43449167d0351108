"""Whose fault a permanent refusal is: this mail's, or that of the settings or of the day.

Only what can be about this recipient or this content may fail a mail. Everything else would fail every mail: a sender
that isn't ours, a quota that is used up, a login that is missing, a server that doesn't know a command.

Most telling is the enhanced status (RFC 3463). A vague one, or none, leaves the reply's code and then its words.
Sources: IANA's registry of enhanced status codes (RFC 5248), Exchange Online's NDR codes, Gmail's SMTP errors, and the
words of Postfix, Exim, Sendmail, SES, SendGrid, Zoho and Yandex.
"""

import re
from functools import cache

_STATUS = re.compile(r"(?<![\w.])[45]\.(\d{1,3})\.(\d{1,3})(?!\.?\w)")

_VAGUE = {(2, 2), (4, 1), (4, 6), (7, 1)}
"""Besides X.Y.0, these mean different things to different servers."""

_OURS = {
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
"""The details that aren't about a mail, for each subject of an enhanced status."""

_CODES = {*range(500, 505), 521, *range(530, 540), 555}
"""A command or parameter that the server doesn't know or want now, a server that takes no mail, a login."""

_WORDS = re.compile(
    r"""sender\ (address|identit|verif|domain|denied|(is\ )?not\b) | from\ address | send\ ?as(\b|denied) | \bnot\ owned
    | address\ is\ not\ verified | client\ host\b | helo\ command
    | relaying | relay\ (access|denied|not) | \bto\ relay | rcpthosts
    | \bauthenticat | unauthenticated | \blog\ ?in\b | \b(spf|dkim|dmarc|ptr)\b
    | (sending|submission|hourly|daily|monthly)\ (\w+\ ){0,2}(quota|limit|rate)
    | sending\ (paused|denied|activity|disabled) | \bcredits\b | originating\ from\ your""",
    re.IGNORECASE | re.VERBOSE,
)

_NO_UTF8 = (6, 7)  # an address that isn't ASCII: the recipient's, for ours always is


@cache
def _details(subject: int) -> frozenset[int]:
    spans = [span.partition("-") for span in _OURS.get(subject, "").split()]
    return frozenset(detail for first, _, last in spans for detail in range(int(first), int(last or first) + 1))


def is_about_this_mail(stage: str, code: int, text: str) -> bool:
    """Tell whether a permanent refusal can be about this recipient or this content.

    `stage`: the command that was refused, or "content". `text`: without what the recipient may have chosen, a name
    for instance, or a name could decide.
    """
    found = _STATUS.search(text)
    status = (int(found[1]), int(found[2])) if found else (0, 0)
    if stage == "MAIL":  # the server knows only the sender yet, and whether the recipient needs SMTPUTF8
        return status == _NO_UTF8
    if status[1] in _details(status[0]):
        return False
    if status[1] and status not in _VAGUE:
        return True
    return code not in _CODES and not _WORDS.search(text)
