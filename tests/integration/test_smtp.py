"""What the SMTP sender makes of every way a conversation can go, over real sockets."""

import socket
import time
from dataclasses import replace

import pytest
from tests.patience import SLACK, until

from notifier.errors import MailDeferred, MailRefused, MailUncertain, ServerAway
from notifier.mail import Mail
from notifier.senders.smtp import mime
from notifier.senders.smtp.mime import write
from notifier.senders.smtp.session import Session

from .mails import ABROAD, CONTENT, MAIL, Connect
from .scripted_smtp import DRIBBLE, DROP, DROP_LATE, HANG, ScriptedSmtpServer

TIMEOUT = 0.4

pytestmark = pytest.mark.usefixtures("pipelining_or_not")


def test_it_returns_after_the_servers_250_to_the_content(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        connect(server.port).send(MAIL)

        assert server.verbs() == ["EHLO", "MAIL", "RCPT", "DATA"]
        assert server.commands[1:3] == ["MAIL FROM:<hello@herald.example>", "RCPT TO:<ada@example.org>"]
        assert server.contents == [CONTENT]


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("connect", "421 too busy"),
        ("connect", "554 not you"),
        ("connect", DROP),
        ("ehlo", DROP),
        ("ehlo", "421 closing" + DROP),
        ("mail", "450 later"),
        ("mail", "421 closing" + DROP),
        ("mail", "530 5.7.0 authentication required"),
        ("mail", "what?"),
        ("mail", DROP),
        ("rcpt", "450 greylisted"),
        ("rcpt", "421 closing" + DROP),
        ("rcpt", DROP),
        ("data", "451 no space"),
        ("data", "250 strange"),
        ("data", DROP),
    ],
)
def test_before_the_content_a_failure_is_certain_and_deferred(connect: Connect, stage: str, reply: str) -> None:
    with ScriptedSmtpServer(**{stage: [reply]}) as server:
        with pytest.raises(MailDeferred):
            connect(server.port).send(MAIL)

        assert server.contents == []


@pytest.mark.parametrize("reply", ["451 try later", "421 closing" + DROP, "452 full"])
def test_a_4xx_to_the_content_is_certain_and_deferred(connect: Connect, reply: str) -> None:
    with ScriptedSmtpServer(content=[reply]) as server, pytest.raises(MailDeferred, match=f"content: {reply[:3]}"):
        connect(server.port).send(MAIL)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [("mail", "550 5.6.7 no"), ("rcpt", "550 no"), ("rcpt", "553 no"), ("data", "554 no"), ("content", "550 spam")],
)
def test_a_5xx_to_the_mail_itself_is_permanent(connect: Connect, stage: str, reply: str) -> None:
    with ScriptedSmtpServer(**{stage: [reply]}) as server, pytest.raises(MailRefused, match=reply):
        connect(server.port).send(MAIL)


@pytest.mark.parametrize("reply", [DROP, "what?", "250-only the first line" + DROP, "25" + DROP])
def test_without_a_clear_reply_to_the_content_nobody_knows(connect: Connect, reply: str) -> None:
    with ScriptedSmtpServer(content=[reply]) as server:
        with pytest.raises(MailUncertain):
            connect(server.port).send(MAIL)

        assert server.contents == [CONTENT]


@pytest.mark.parametrize("html", ["x", ("x" * 998 + "\n") * 20_000])
@pytest.mark.parametrize("reply", ["354 go" + DROP_LATE, "354 go" + HANG])
def test_the_boundary_is_the_first_byte_of_the_content(
    connect: Connect, reply: str, html: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedSmtpServer, "late", 1.0)
    with ScriptedSmtpServer(data=[reply]) as server, pytest.raises(MailUncertain):
        connect(server.port, timeout=5.0).send(replace(MAIL, html=html))


def test_the_time_for_a_mail_begins_before_it_is_written(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_slowly(mail: Mail) -> bytes:
        time.sleep(TIMEOUT)
        return write(mail)

    monkeypatch.setattr(mime, "write", write_slowly)
    with ScriptedSmtpServer() as server:
        with pytest.raises(MailDeferred):
            connect(server.port, timeout=TIMEOUT).send(MAIL)

        assert server.contents == []


def test_a_server_that_hangs_up_before_the_content_has_nothing(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Session.has_hung_up

    def look_once_it_has(session: Session) -> bool:
        until(lambda: look(session))
        return look(session)

    monkeypatch.setattr(Session, "has_hung_up", look_once_it_has)
    with ScriptedSmtpServer(data=["354 go" + DROP]) as server, pytest.raises(MailDeferred, match="server closed"):
        connect(server.port).send(MAIL)


@pytest.mark.parametrize("reply", [HANG, DRIBBLE])
@pytest.mark.parametrize(
    ("stage", "outcome"),
    [
        ("connect", MailDeferred),
        ("ehlo", MailDeferred),
        ("mail", MailDeferred),
        ("rcpt", MailDeferred),
        ("data", MailDeferred),
        ("content", MailUncertain),
    ],
)
def test_a_server_that_hangs_or_dribbles_gains_no_time(
    connect: Connect, stage: str, outcome: type[Exception], reply: str
) -> None:
    with ScriptedSmtpServer(**{stage: [reply]}) as server:
        sender = connect(server.port, timeout=TIMEOUT)
        started = time.monotonic()
        with pytest.raises(outcome):
            sender.send(MAIL)

        assert TIMEOUT * 0.9 < time.monotonic() - started < TIMEOUT + SLACK


def test_a_refused_connection_is_deferred(connect: Connect) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(MailDeferred, match="refused"):
            connect(unheard.getsockname()[1]).send(MAIL)


@pytest.mark.parametrize(
    "text",
    ["a\r\n.\r\nb\r\n", ".\r\n..\r\n.x\r\n", "a\n.\nMAIL FROM:<evil@example.org>\n", "a\r.\r\nb", "a\r.\r\r\n", ""],
)
def test_no_content_can_end_itself(connect: Connect, text: str) -> None:
    mail = replace(MAIL, text=text, html=text)
    with ScriptedSmtpServer() as server:
        sender = connect(server.port)
        sender.send(mail)
        sender.send(MAIL)

        assert server.contents == [write(mail), CONTENT]


@pytest.mark.parametrize(
    ("reply", "reference"),
    [
        ("250 2.0.0 Ok: queued as 4XyZ.12-a", "4XyZ.12-a"),
        ("250-fine\r\n250 Queued as 7", "7"),
        ("250 ok", None),
        ("250 ok, queued as <ada@example.org>", None),
    ],
)
def test_it_returns_what_the_server_has_queued_the_mail_as(connect: Connect, reply: str, reference: str | None) -> None:
    with ScriptedSmtpServer(content=[reply]) as server:
        assert connect(server.port).send(MAIL) == reference


def test_a_non_ascii_address_needs_a_server_that_offers_smtputf8(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        with pytest.raises(MailRefused, match="SMTPUTF8"):
            connect(server.port).send(ABROAD)

        assert "MAIL" not in server.verbs()


def test_a_non_ascii_address_is_sent_with_smtputf8_and_the_next_mail_without(connect: Connect) -> None:
    with ScriptedSmtpServer(ehlo=["250-scripted\r\n250-8BITMIME\r\n250 SMTPUTF8"]) as server:
        sender = connect(server.port)
        sender.send(ABROAD)
        sender.send(MAIL)

        assert server.commands[1] == "MAIL FROM:<hello@herald.example> SMTPUTF8 BODY=8BITMIME"
        assert server.commands[2] == "RCPT TO:<zoë@example.org>"
        assert server.commands[4] == "MAIL FROM:<hello@herald.example>"


def test_messages_are_short_and_hold_no_address(connect: Connect) -> None:
    reply = "550-5.1.1 <ada@example.org>: no such user\r\n550 see ada@example.org \x1b[31m" + "x" * 1500
    with ScriptedSmtpServer(rcpt=[reply]) as server, pytest.raises(MailRefused) as caught:
        connect(server.port).send(MAIL)

    message = str(caught.value)
    assert message == "RCPT: 550 5.1.1 […] no such user see […]"
    assert message.isprintable()


def test_a_long_reply_is_cut(connect: Connect) -> None:
    with ScriptedSmtpServer(rcpt=["550 " + "no " * 2000]) as server, pytest.raises(MailRefused) as caught:
        connect(server.port).send(MAIL)

    assert 200 < len(str(caught.value)) < 300


def test_a_password_is_not_sent_in_clear_unless_asked_for(connect: Connect) -> None:
    with ScriptedSmtpServer(ehlo=["250-scripted\r\n250 AUTH PLAIN"]) as server:
        with pytest.raises(MailDeferred, match=r"no STARTTLS.*\?starttls=never"):
            connect(server.port, login="me:secret@").send(MAIL)

        assert server.verbs() == ["EHLO"]


@pytest.mark.parametrize("reply", ["535 5.7.8 wrong password", "454 later", DROP])
def test_a_login_that_fails_is_no_fault_of_the_mail(connect: Connect, reply: str) -> None:
    with ScriptedSmtpServer(ehlo=["250-scripted\r\n250 AUTH PLAIN"], auth=[reply]) as server:
        with pytest.raises(MailDeferred) as caught:
            connect(server.port, login="me:secret@", options="?starttls=never").send(MAIL)

        assert "secret" not in str(caught.value)
        assert server.verbs() == ["EHLO", "AUTH"]


@pytest.mark.parametrize("reply", ["454 no TLS now", "554 no TLS", DROP, "220 go" + DROP, "220 go" + HANG])
def test_a_starttls_that_fails_is_not_followed_by_plain_text(connect: Connect, reply: str) -> None:
    with ScriptedSmtpServer(ehlo=["250-scripted\r\n250 STARTTLS"], starttls=[reply]) as server:
        started = time.monotonic()
        with pytest.raises(MailDeferred):
            connect(server.port, options="?starttls=if-offered", timeout=TIMEOUT).send(MAIL)

        assert server.verbs() == ["EHLO", "STARTTLS"]
        assert time.monotonic() - started < TIMEOUT + SLACK


def test_an_old_server_without_ehlo_will_do(connect: Connect) -> None:
    with ScriptedSmtpServer(ehlo=["502 what?"]) as server:
        connect(server.port).send(MAIL)

        assert server.verbs()[:2] == ["EHLO", "HELO"]
        assert server.contents == [CONTENT]


@pytest.mark.parametrize("reply", ["554 not you", DROP, "421 too busy"])
def test_without_a_connection_no_other_mail_need_try(connect: Connect, reply: str) -> None:
    with ScriptedSmtpServer(connect=[reply]) as server, pytest.raises(ServerAway):
        connect(server.port).send(MAIL)


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "content"])
def test_a_mail_that_is_deferred_says_nothing_of_others(connect: Connect, stage: str) -> None:
    with ScriptedSmtpServer(**{stage: ["450 later"]}) as server:
        with pytest.raises(MailDeferred) as caught:
            connect(server.port).send(MAIL)

        assert not isinstance(caught.value, ServerAway)
