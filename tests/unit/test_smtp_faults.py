"""Whose fault a permanent refusal is."""

import pytest

from notifier.senders.smtp.replies import is_about_this_mail

MAILS = [
    ("RCPT", 550, "no such user"),
    ("RCPT", 550, "5.1.1 no such user"),
    ("RCPT", 550, "5.1.10 recipient not found"),
    ("RCPT", 556, "5.1.10 the domain takes no mail"),
    ("RCPT", 501, "5.1.3 bad recipient address syntax"),
    ("RCPT", 551, "user not local"),
    ("RCPT", 552, "5.2.2 mailbox full"),
    ("RCPT", 552, "over quota"),
    ("RCPT", 553, "mailbox name not allowed"),
    ("RCPT", 550, "5.2.1 disabled"),
    ("RCPT", 550, "5.4.1 recipient address rejected: access denied"),
    ("RCPT", 550, "5.4.4 no route to the domain"),
    ("RCPT", 550, "5.5.0 Requested action not taken: mailbox unavailable"),
    ("RCPT", 550, "5.7.1 you may not write to this address"),
    ("RCPT", 550, "5.7.124 you may not write to this group"),
    ("RCPT", 550, "Recipient address rejected: User unknown in relay recipient table"),
    ("DATA", 554, "no valid recipients"),
    ("content", 550, "spam"),
    ("content", 554, "5.7.1 message rejected as spam"),
    ("content", 552, "5.3.4 message too big"),
    ("content", 554, "5.6.0 malformed"),
    ("content", 550, "5.7.1 #5.7.1 blocked by policy"),
    ("MAIL", 550, "5.6.7 this address needs UTF-8"),
]

STATUSES = """
    5.1.7 5.1.8 5.1.90 5.2.252 5.3.0 5.3.2 5.3.5 5.4.5 5.5.1 5.5.2 5.5.4 5.7.3 5.7.8 5.7.9 5.7.14 5.7.23 5.7.25 5.7.26
    5.7.27 5.7.28 5.7.30 5.7.40 5.7.54 5.7.57 5.7.60 5.7.64 5.7.139 5.7.232 5.7.233 5.7.501 5.7.509 5.7.511 5.7.606
    5.7.705 5.7.708 5.7.750
"""

OURS = [
    *[
        ("MAIL", code, text)
        for code in (501, 550, 552, 553, 554)
        for text in ("no", "5.7.1 no", "5.1.8 no", "5.1.1 no")
    ],
    *[(stage, code, "no") for stage in ("RCPT", "DATA", "content") for code in (500, 501, 502, 503, 504, 521, 555)],
    *[("RCPT", code, "5.7.0 no") for code in (530, 534, 535, 538)],
    *[(stage, 550, f"{status} no") for stage in ("RCPT", "DATA", "content") for status in STATUSES.split()],
    ("RCPT", 553, "5.7.1 <[address]>: Sender address rejected: not owned by user me"),
    ("RCPT", 550, "5.1.0 <[address]>: Sender address rejected: User unknown"),
    ("RCPT", 554, "5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied"),
    ("RCPT", 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using a list"),
    ("RCPT", 554, "5.7.1 <[address]>: Relay access denied"),
    ("RCPT", 550, "relay not permitted"),
    ("RCPT", 550, "5.7.1 Unable to relay"),
    ("RCPT", 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    ("RCPT", 553, "Relaying disallowed as [address]"),
    ("RCPT", 550, "5.2.2 Submission quota exceeded"),
    ("content", 554, "5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied"),
    ("content", 550, "SMTP; 5.7.60 Client does not have permissions to send as this sender"),
    ("content", 550, "The from address does not match a verified Sender Identity."),
    ("content", 554, "Message rejected: Email address is not verified."),
    ("content", 554, "Message rejected: Sending paused for this account."),
    ("content", 550, "5.4.6 Unusual sending activity detected"),
    ("content", 550, "Daily sending limit exceeded"),
    ("content", 550, "Maximum credits exceeded"),
    ("content", 550, "5.7.1 fails DMARC"),
    ("content", 550, "5.7.0 Mail relay denied"),
]


@pytest.mark.parametrize(("stage", "code", "text"), MAILS)
def test_what_can_be_about_this_recipient_or_content_is(stage: str, code: int, text: str) -> None:
    assert is_about_this_mail(stage, code, text)


@pytest.mark.parametrize(("stage", "code", "text"), OURS)
def test_what_cannot_is_the_settings_or_the_days_fault(stage: str, code: int, text: str) -> None:
    assert not is_about_this_mail(stage, code, text)


@pytest.mark.parametrize(
    "text", ["user 5.4.5.6 unknown", "host 192.5.4.5 says no", "5.4.5.example.org unknown", "v5.4.5x"]
)
def test_a_number_that_is_no_status_decides_nothing(text: str) -> None:
    assert is_about_this_mail("RCPT", 550, text)
