"""Permanent refusals: which fail a mail, which are nobody's mail's fault, and what their errors say."""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from messaging import PermanentError
from notifier.errors import (
    MailDeferred,
    MailRefused,
    MailUncertain,
    RecipientRefused,
    SendingRefused,
    ServerAway,
)
from notifier.mail import Address, Mail
from notifier.senders.smtp import Sender

from .mails import CONTENT, MAIL
from .scripted_smtp import DROP, ScriptedSmtpServer


@pytest.fixture(params=[False, True], ids=["one by one", "pipelined"], autouse=True)
def _pipelining(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedSmtpServer, "pipelining", request.param)


def mailing(server: ScriptedSmtpServer) -> closing[Sender]:
    return closing(Sender(f"smtp://127.0.0.1:{server.port}", timeout=5.0))


def outcome(sender: Sender, mail: Mail = MAIL) -> Exception | None:
    try:
        sender.send(mail)
    except (MailDeferred, MailRefused) as error:
        return error
    return None


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("mail", "550 5.4.5 daily quota exceeded"),
        ("mail", "553 sender not owned"),
        ("mail", "501 5.1.7 bad sender"),
        ("mail", "552 over quota"),
        ("rcpt", "501 syntax"),
        ("rcpt", "503 bad sequence"),
        ("rcpt", "504 not implemented"),
        ("rcpt", "530 5.7.57 not authenticated"),
        ("rcpt", "550 5.7.1 Relay access denied"),
        ("data", "503 5.5.1 bad sequence"),
        ("data", "554 5.7.60 may not send as this sender"),
        ("content", "550 5.4.5 daily quota exceeded"),
        ("content", "550 5.7.60 may not send as this sender"),
        ("content", "554 5.7.26 not authenticated"),
    ],
)
def test_what_cannot_be_about_a_mail_does_not_fail_it_and_says_so(stage: str, reply: str) -> None:
    with ScriptedSmtpServer(**{stage: [reply]}) as server, mailing(server) as sender:
        error = outcome(sender)
        assert isinstance(error, SendingRefused)
        assert not isinstance(error, PermanentError | ServerAway)
        assert str(error).startswith(f"{'content' if stage == 'content' else stage.upper()}: {reply}")
        assert "not about this mail: see MAIL_URL, MAIL_FROM" in str(error)

        assert outcome(sender) is None, "the next is sent"
        assert [content for content in server.contents if content][-1] == CONTENT


def refusals(server: ScriptedSmtpServer, numbers: int) -> list[type]:
    with mailing(server) as sender:
        return [type(outcome(sender)) for _ in range(numbers)]


def test_the_third_in_a_row_says_that_no_other_need_try() -> None:
    with ScriptedSmtpServer(mail=["550 5.4.5 daily quota exceeded"] * 9) as server:
        assert refusals(server, 6) == [SendingRefused, SendingRefused, ServerAway] * 2


@pytest.mark.parametrize("between", ["250 ok", "550 no such user", "450 later"])
def test_any_other_word_of_the_server_begins_a_new_row(between: str) -> None:
    with ScriptedSmtpServer(rcpt=["503 no", "503 no", between, "503 no", "503 no", "503 no"]) as server:
        found = refusals(server, 6)

    assert found[:2] == found[3:5] == [SendingRefused] * 2
    assert found[5] is ServerAway


def test_the_last_of_a_row_tells_the_servers_words_too() -> None:
    with ScriptedSmtpServer(mail=["550 5.4.5 daily quota exceeded"] * 3) as server, mailing(server) as sender:
        last = [outcome(sender) for _ in range(3)][-1]

    assert str(last).startswith("MAIL: 550 5.4.5 daily quota exceeded (not about this mail")
    assert "2 mails before" in str(last)


REPLIES = [
    "550 5.1.1 ada: no such user",
    "550-5.1.1 ADA\r\n550 5.1.1 does not exist",
    "450 4.2.1 ada is over quota",
    "550 5.4.5 limit of ada%40example.org",
    "550 5.1.1 =?utf-8?q?Ada?= is none",
    "550 Ada Byron has left",
    "550 Byron? adA.",
    '550 "a\\da"@example.org',
    "what? ada",
    "421 ada" + DROP,
]


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "content"])
def test_no_word_about_the_recipient_gets_into_an_error(
    stage: str, reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        ScriptedSmtpServer(**{stage: [reply]}) as server,
        mailing(server) as sender,
        pytest.raises((MailDeferred, MailRefused, MailUncertain)) as caught,
    ):
        sender.send(MAIL)

    told = f"{caught.value} {caplog.text}".lower()
    assert not any(each in told for each in ("ada", "byron", "example.org", "q?a"))


@pytest.fixture
def abroad() -> Iterator[ScriptedSmtpServer]:
    ehlo = "250-scripted\r\n250-8BITMIME\r\n250 SMTPUTF8"
    with ScriptedSmtpServer(ehlo=[ehlo] * 3, rcpt=["550 5.1.1 zoe\u0308 or zo=C3=AB or bücher.example"]) as server:
        yield server


def test_nor_in_another_script(abroad: ScriptedSmtpServer) -> None:
    with mailing(abroad) as sender:
        error = outcome(sender, replace(MAIL, recipient=Address("", "zoë@xn--bcher-kva.example")))

    assert str(error) == "RCPT: 550 5.1.1 […] or […] or […]"


@pytest.mark.parametrize("local", ["5.4.5", "relay access"])
def test_a_recipient_cannot_choose_words_that_blame_the_server(local: str) -> None:
    mail = replace(MAIL, recipient=Address(local, f"{local}@example.org"))
    with ScriptedSmtpServer(rcpt=[f"550 user {local} unknown"]) as server, mailing(server) as sender:
        assert isinstance(outcome(sender, mail), MailRefused)


@pytest.mark.parametrize(
    ("stage", "reply", "kind"),
    [
        ("rcpt", "550 no such user", RecipientRefused),
        ("rcpt", "550 5.1.1 no such user", RecipientRefused),
        ("rcpt", "553 5.1.3 bad address syntax", RecipientRefused),
        ("rcpt", "550 5.2.1 mailbox disabled", RecipientRefused),
        ("rcpt", "556 5.1.10 domain takes no mail", RecipientRefused),
        ("rcpt", "552 mailbox full", MailRefused),
        ("rcpt", "554 refused", MailRefused),
        ("rcpt", "550 blocked as spam", MailRefused),
        ("rcpt", "550 5.2.2 mailbox full", MailRefused),
        ("rcpt", "552 5.3.4 message too big", MailRefused),
        ("rcpt", "550 5.7.1 refused by a policy", MailRefused),
        ("content", "550 5.1.1 no such user", MailRefused),
        ("content", "554 spam", MailRefused),
    ],
)
def test_only_a_refused_address_is_the_recipients(stage: str, reply: str, kind: type) -> None:
    with ScriptedSmtpServer(**{stage: [reply]}) as server, mailing(server) as sender:
        assert type(outcome(sender)) is kind
