"""What each provider's documented answers mean for a mail."""

import json
import time
from dataclasses import replace

import pytest
from tests.integration.scripted_http import ScriptedHttpServer, answer

from messaging.errors import PermanentError, RetryLater, TransientError, Unavailable, UncertainError
from notifier.errors import (
    MailDeferred,
    MailRefused,
    MailUncertain,
    RecipientRefused,
    SendingRefused,
    ServerAway,
    Throttled,
)
from notifier.mail import Address
from notifier.providers.sender import LEAST_WAIT, MOST_WAIT

from .conftest import OpenSender
from .letters import WELCOME

URLS = {
    "mailgun": "mailgun://s3cret@127.0.0.1:{}/mg.example.org?tls=no",
    "postmark": "postmark://s3cret@127.0.0.1:{}?tls=no",
    "sendgrid": "sendgrid://s3cret@127.0.0.1:{}?tls=no",
    "ses": "ses://AKID:s3cret@127.0.0.1:{}?tls=no&region=eu-west-1",
}


TO = "personalizations.0.to.0.email"


def outcome(opened: OpenSender, scheme: str, reply: bytes) -> Exception | str | None:
    """Return what a sender makes of one answer."""
    with ScriptedHttpServer([reply]) as server:
        try:
            return opened(URLS[scheme].format(server.port)).send(WELCOME)
        except Exception as error:
            return error


def postmark(status: int, code: object, message: str = "…", **headers: str) -> bytes:
    return answer(status, json.dumps({"ErrorCode": code, "Message": message}).encode(), **headers)


def sendgrid(status: int, *errors: tuple[str | None, str], **headers: str) -> bytes:
    listed = [{"field": field, "message": message, "help": None} for field, message in errors]
    return answer(status, json.dumps({"errors": listed}).encode(), **headers)


def mailgun(status: int, message: str, **headers: str) -> bytes:
    return answer(status, json.dumps({"message": message}).encode(), **headers)


def ses(status: int, name: str, message: str = "…", **headers: str) -> bytes:
    return answer(status, json.dumps({"message": message}).encode(), x_amzn_ErrorType=name, **headers)


@pytest.mark.parametrize(
    ("scheme", "reply", "kind"),
    [
        ("postmark", postmark(422, 406, "You tried to send to recipient(s) marked inactive."), RecipientRefused),
        ("postmark", postmark(422, 300, "Invalid 'To' address: 'zoe@example.org'."), RecipientRefused),
        ("postmark", postmark(422, 300, "Error parsing 'To': Illegal email domain 'example.'"), RecipientRefused),
        ("postmark", postmark(422, 300, "Invalid 'From' address: 'x'."), SendingRefused),
        ("postmark", postmark(422, 300, "Metadata field name is too long"), SendingRefused),
        ("postmark", postmark(422, 300, "TextBody is too large"), MailRefused),
        ("postmark", postmark(422, 411, "Forbidden attachment type"), MailRefused),
        ("postmark", answer(413, b"too large"), MailRefused),
        ("postmark", postmark(401, 10, "No token"), SendingRefused),
        ("postmark", postmark(422, 400, "The 'From' address is not a Sender Signature"), SendingRefused),
        ("postmark", postmark(422, 401, "not confirmed"), SendingRefused),
        ("postmark", postmark(422, 403, "Incompatible JSON"), SendingRefused),
        ("postmark", postmark(422, 405, "Not allowed to send: out of credits"), SendingRefused),
        ("postmark", postmark(422, 412, "While your account is pending approval, …"), SendingRefused),
        ("postmark", postmark(422, 413, "Account may not send"), SendingRefused),
        ("postmark", postmark(422, 1235, "The message stream does not exist"), SendingRefused),
        ("postmark", postmark(200, 406, "inactive"), RecipientRefused),
        ("postmark", postmark(503, 100, "Maintenance"), ServerAway),
        ("postmark", postmark(500, 406, "inactive"), MailUncertain),
        ("sendgrid", sendgrid(400, (TO, "Does not contain a valid address")), RecipientRefused),
        ("sendgrid", sendgrid(400, ("personalizations.0.to.0.name", "too long")), MailRefused),
        ("sendgrid", sendgrid(400, ("content.0.value", "The content value must be a string")), MailRefused),
        ("sendgrid", sendgrid(400, ("subject", "The subject is required.")), MailRefused),
        ("sendgrid", sendgrid(400, ("from.email", "The from object must be provided")), SendingRefused),
        ("sendgrid", sendgrid(400, ("from", "x"), (TO, "x")), SendingRefused),
        ("sendgrid", sendgrid(400, (None, "Bad Request")), SendingRefused),
        ("sendgrid", answer(400, b"[]"), SendingRefused),
        ("sendgrid", answer(400, b'{"errors": [7, "x"]}'), SendingRefused),
        ("sendgrid", sendgrid(401, (None, "The provided authorization grant is invalid")), SendingRefused),
        ("sendgrid", sendgrid(401, (None, "Maximum credits exceeded")), SendingRefused),
        ("sendgrid", sendgrid(403, ("from", "The from address does not match a verified …")), SendingRefused),
        ("sendgrid", sendgrid(413, (None, "Payload Too Large")), MailRefused),
        ("mailgun", mailgun(400, "'to' parameter is not a valid address."), RecipientRefused),
        ("mailgun", mailgun(400, "'from' parameter is not a valid address."), SendingRefused),
        ("mailgun", mailgun(400, "Message is too big"), MailRefused),
        ("mailgun", mailgun(400, "Sandbox subdomains are for test purposes only."), SendingRefused),
        ("mailgun", mailgun(400, "Your account is disabled"), SendingRefused),
        ("mailgun", answer(400, b"<html>"), SendingRefused),
        ("mailgun", answer(401, b"Forbidden"), SendingRefused),
        ("mailgun", mailgun(402, "Payment required"), SendingRefused),
        ("mailgun", mailgun(403, "Domain mg.example.org is not allowed to send"), SendingRefused),
        ("mailgun", mailgun(404, "Domain not found: mg.example.org"), SendingRefused),
        ("mailgun", mailgun(413, "too big"), MailRefused),
        ("ses", ses(400, "BadRequestException", "Local address contains control or whitespace"), MailRefused),
        ("ses", ses(400, "MessageRejected", "Transaction failed: Unsupported file type"), MailRefused),
        ("ses", ses(400, "BadRequestException:http://internal.amazon.com/", "Illegal address"), MailRefused),
        ("ses", answer(400, b'{"__type": "x#BadRequestException", "Message": "Illegal address"}'), MailRefused),
        ("ses", ses(400, "MessageRejected", "Email address is not verified. The following identities"), SendingRefused),
        ("ses", ses(400, "BadRequestException", "Configuration set <x> does not exist"), SendingRefused),
        ("ses", ses(400, "AccountSuspendedException"), SendingRefused),
        ("ses", ses(400, "SendingPausedException"), SendingRefused),
        ("ses", ses(400, "MailFromDomainNotVerifiedException"), SendingRefused),
        ("ses", ses(404, "NotFoundException"), SendingRefused),
        ("ses", ses(403, "AccessDeniedException"), SendingRefused),
        ("ses", ses(403, "SignatureDoesNotMatch"), SendingRefused),
        ("ses", ses(403, "ExpiredTokenException"), SendingRefused),
        ("ses", ses(400, "LimitExceededException"), ServerAway),
        ("ses", ses(400, "ThrottlingException", "Daily message quota exceeded"), ServerAway),
        ("ses", ses(503, "BadRequestException"), MailUncertain),
    ],
)  # fmt: skip
def test_a_documented_refusal(scheme: str, reply: bytes, kind: type, opened: OpenSender) -> None:
    error = outcome(opened, scheme, reply)
    assert type(error) is kind
    assert str(error).startswith(reply.split()[1].decode())
    if kind is SendingRefused:
        assert "not about this mail: see MAIL_URL, MAIL_FROM and the account at the provider" in str(error)


STATUSES: dict[int, type] = {
    301: SendingRefused,
    401: SendingRefused,
    404: SendingRefused,
    405: SendingRefused,
    408: MailDeferred,
    413: MailRefused,
    418: SendingRefused,
    429: ServerAway,
    500: MailUncertain,
    502: MailUncertain,
    503: MailUncertain,
    504: MailUncertain,
    599: MailUncertain,
}
BODIES = [b"", b"<html>gateway</html>", b"null", b"[" * 60_000, b'{"errors": null, "ErrorCode": "x"}']


@pytest.mark.parametrize("scheme", URLS)
def test_a_status_alone(scheme: str, opened: OpenSender) -> None:
    tried = [(status, body) for body in BODIES for status in STATUSES]
    replies = [reply for status, body in tried for reply in (answer(status, body), answer(200))]
    with ScriptedHttpServer(replies) as server:
        sender = opened(URLS[scheme].format(server.port))
        for status, body in tried:
            with pytest.raises((MailDeferred, MailRefused, MailUncertain)) as caught:
                sender.send(WELCOME)
            assert type(caught.value) is STATUSES[status], (status, body[:20])
            sender.send(WELCOME)  # else refusals would be in a row


@pytest.mark.parametrize(
    ("scheme", "reply"),
    [
        ("mailgun", mailgun(400, "The mail to Sandbox Identity <account@example.org> is too big")),
        ("postmark", postmark(422, 300, "The mail to Sandbox 'From' Identity metadata@example.org is too big")),
        ("ses", ses(400, "MessageRejected", "The mail to Sandbox Identity <sender@example.org> is too big")),
    ],
)
def test_a_recipient_cannot_choose_words_that_blame_the_settings(scheme: str, reply: bytes, opened: OpenSender) -> None:
    mail = replace(WELCOME, recipient=Address("Sandbox 'From' Identity", "account@example.org"))
    with ScriptedHttpServer([reply]) as server, pytest.raises(MailRefused):
        opened(URLS[scheme].format(server.port)).send(mail)


THROTTLED = {
    "mailgun": mailgun(429, "Too many requests", retry_after="30"),
    "postmark": postmark(429, 429, "Rate limit exceeded", retry_after="30"),
    "sendgrid": sendgrid(429, (None, "too many requests"), retry_after="30"),
    "ses": ses(429, "TooManyRequestsException", "Maximum sending rate exceeded.", retry_after="30"),
}


@pytest.mark.parametrize("scheme", URLS)
def test_throttling_defers_all_mails_for_the_time_that_it_asks_for(scheme: str, opened: OpenSender) -> None:
    error = outcome(opened, scheme, THROTTLED[scheme])
    assert isinstance(error, Throttled)
    assert isinstance(error, RetryLater)
    assert isinstance(error, Unavailable)
    assert 30 <= error.after <= 45


def waits(opened: OpenSender, **headers: str) -> float:
    error = outcome(opened, "sendgrid", sendgrid(429, **headers))
    assert isinstance(error, Throttled)
    return error.after


def test_sendgrid_says_when_its_limit_is_reset(opened: OpenSender) -> None:
    assert 100 <= waits(opened, X_RateLimit_Reset=str(int(time.time()) + 101)) <= 152
    assert waits(opened, X_RateLimit_Reset="1392815263") <= 1.5 * LEAST_WAIT
    assert waits(opened, X_RateLimit_Reset="999999999999") <= 1.5 * MOST_WAIT
    assert type(outcome(opened, "sendgrid", sendgrid(429, X_RateLimit_Reset="soon"))) is ServerAway


def test_waits_are_neither_too_short_nor_too_long(opened: OpenSender) -> None:
    assert LEAST_WAIT <= waits(opened, retry_after="0") <= 1.5 * LEAST_WAIT
    assert MOST_WAIT <= waits(opened, retry_after="86400") <= 1.5 * MOST_WAIT


@pytest.mark.parametrize("scheme", URLS)
@pytest.mark.parametrize("body", [b"", b"OK", b"null", b'{"id": 7, "MessageID": null, "MessageId": {}}', b'{"id": "'])
def test_an_acceptance_that_cannot_be_read_is_one_without_a_reference(
    scheme: str, body: bytes, opened: OpenSender
) -> None:
    assert outcome(opened, scheme, answer(200, body)) is None


def test_the_errors_decide_what_happens_next() -> None:
    assert issubclass(RecipientRefused, MailRefused)
    assert issubclass(MailRefused, PermanentError)
    assert issubclass(SendingRefused, TransientError)
    assert not issubclass(SendingRefused, Unavailable)
    assert issubclass(MailUncertain, UncertainError)


@pytest.mark.parametrize("scheme", URLS)
def test_the_third_refusal_in_a_row_that_is_not_about_a_mail_ends_the_message(scheme: str, opened: OpenSender) -> None:
    with ScriptedHttpServer(default=answer(401)) as server:
        sender = opened(URLS[scheme].format(server.port))
        kinds = []
        for _ in range(6):
            with pytest.raises(MailDeferred) as caught:
                sender.send(WELCOME)
            kinds.append(type(caught.value))
    assert kinds == [SendingRefused, SendingRefused, ServerAway] * 2


@pytest.mark.parametrize(
    ("scheme", "reply"),
    [
        ("postmark", postmark(422, 300, "Invalid 'To' address: 'zoe@example.org' Zoë Ünal s3cret ZOE%40example.org")),
        ("sendgrid", sendgrid(400, (TO, "zoe@example.org s3cret Ünal is none"))),
        ("mailgun", mailgun(400, "zoe@example.org (Zoë Ünal, zoe) is not s3cret")),
        ("ses", ses(400, "MessageRejected", "Email address is not verified: zoe@example.org, Zoe Unal, AKID, s3cret")),
        ("ses", ses(500, "zoe@example.org", "zoe@example.org")),
    ],
)  # fmt: skip
def test_no_error_names_the_recipient_or_a_secret(scheme: str, reply: bytes, opened: OpenSender) -> None:
    said = str(outcome(opened, scheme, reply)).casefold()
    assert not any(each in said for each in ("zo", "nal", "example", "s3cret", "akid"))
