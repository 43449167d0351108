"""What `Mailer.send` makes of every way an SMTP conversation can go, over real sockets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from notifier.email import Mail
from notifier.errors import MailDeferred, MailRefused, MailUncertain, ServerAway
from notifier.smtp import Mailer, SmtpSettings
from notifier.smtp.session import Session

from .scripted_smtp import DRIBBLE, DROP, DROP_LATE, HANG, ScriptedSmtpServer
from .workers import until

MAIL = Mail("hello@herald.example", "ada@example.org", "<1@herald.example>", b"Subject: Hi\r\n\r\nHello\r\n")
TIMEOUT = 0.4
SLACK = 3.0

Connect = Callable[..., Mailer]


@pytest.fixture(params=["one by one", "pipelined", "announced"], autouse=True)
def pipelining(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the server takes the envelope at once, and even before its time: the outcome must always be the same."""
    if request.param == "announced":
        begin = Session.begin

        def begin_announced(session: Session, mail: Mail) -> None:
            session.announce(mail)
            begin(session, mail)

        monkeypatch.setattr(Session, "begin", begin_announced)
    monkeypatch.setattr(ScriptedSmtpServer, "pipelining", request.param != "one by one")
    return ScriptedSmtpServer.pipelining


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make mailers that are closed after the test."""
    with ExitStack() as stack:

        def make(port: int, *, login: str = "", options: str = "", timeout: float = 5.0, idle: float = 30.0) -> Mailer:
            settings = SmtpSettings.parse(f"smtp://{login}127.0.0.1:{port}{options}")
            return stack.enter_context(closing(Mailer(settings, timeout=timeout, idle=idle)))

        yield make


def test_it_returns_after_the_servers_250_to_the_content(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        connect(server.port).send(MAIL)

        assert server.verbs() == ["EHLO", "MAIL", "RCPT", "DATA"]
        assert server.commands[1:3] == ["MAIL FROM:<hello@herald.example>", "RCPT TO:<ada@example.org>"]
        assert server.contents == [MAIL.content]


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

        assert server.contents == [MAIL.content]


@pytest.mark.parametrize("size", [1, 20_000_000])
@pytest.mark.parametrize("reply", ["354 go" + DROP_LATE, "354 go" + HANG])
def test_the_boundary_is_the_first_byte_of_the_content(
    connect: Connect, reply: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedSmtpServer, "late", TIMEOUT / 2)
    with ScriptedSmtpServer(data=[reply]) as server, pytest.raises(MailUncertain):
        connect(server.port, timeout=TIMEOUT).send(replace(MAIL, content=b"x" * size))


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
        mailer = connect(server.port, timeout=TIMEOUT)
        started = time.monotonic()
        with pytest.raises(outcome):
            mailer.send(MAIL)

        assert TIMEOUT * 0.9 < time.monotonic() - started < TIMEOUT + SLACK


def test_a_refused_connection_is_deferred(connect: Connect) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(MailDeferred, match="refused"):
            connect(unheard.getsockname()[1]).send(MAIL)


def test_one_connection_carries_many_mails(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        mailer = connect(server.port)
        for _ in range(5):
            mailer.send(MAIL)

        assert server.connections == 1
        assert len(server.contents) == 5


@pytest.mark.parametrize("reply", ["421 idle for too long" + DROP, "554 too many mails on this connection", DROP])
def test_a_kept_connection_that_is_used_up_is_replaced(connect: Connect, reply: str) -> None:
    with ScriptedSmtpServer(mail=["250 ok", reply]) as server:
        mailer = connect(server.port)
        mailer.send(MAIL)
        mailer.send(MAIL)

        assert server.connections == 2
        assert len(server.contents) == 2


def test_a_kept_connection_that_died_is_replaced(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        mailer = connect(server.port)
        mailer.send(MAIL)
        server.drop_connections()
        mailer.send(MAIL)

        assert server.connections == 2
        assert len(server.contents) == 2


def test_it_is_replaced_once_only(connect: Connect) -> None:
    with ScriptedSmtpServer(mail=["250 ok", DROP, DROP]) as server:
        mailer = connect(server.port)
        mailer.send(MAIL)
        with pytest.raises(MailDeferred):
            mailer.send(MAIL)

        assert server.connections == 2


def test_the_second_connection_has_the_first_ones_deadline(connect: Connect) -> None:
    with ScriptedSmtpServer(mail=["250 ok", DROP_LATE, HANG]) as server:
        mailer = connect(server.port, timeout=server.late + 0.2)
        mailer.send(MAIL)
        started = time.monotonic()
        with pytest.raises(MailDeferred):
            mailer.send(MAIL)

        assert server.connections == 2
        assert time.monotonic() - started < server.late * 1.8


def test_each_mail_on_a_kept_connection_has_a_deadline_of_its_own(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        mailer = connect(server.port, timeout=1.0)
        mailer.send(MAIL)
        time.sleep(1.1)
        mailer.send(MAIL)

        assert server.connections == 1


def test_a_connection_that_was_idle_for_long_is_not_trusted(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        mailer = connect(server.port, idle=0.05)
        mailer.send(MAIL)
        time.sleep(0.1)
        mailer.send(MAIL)

        assert server.connections == 2
        assert server.verbs().count("MAIL") == 2


@pytest.mark.parametrize(("stage", "delivered"), [("mail", 1), ("rcpt", 1), ("content", 2)])
def test_after_a_refused_mail_the_connection_serves_the_next(connect: Connect, stage: str, delivered: int) -> None:
    with ScriptedSmtpServer(**{stage: ["550 5.6.7 no"]}) as server:
        mailer = connect(server.port)
        with pytest.raises(MailRefused):
            mailer.send(MAIL)
        mailer.send(MAIL)

        assert server.connections == 1
        assert server.verbs().count("RSET") == 1
        assert len(server.contents) == delivered


@pytest.mark.parametrize("script", [{"rcpt": ["450 no"]}, {"content": [DROP]}, {"rcpt": ["550 no"], "rset": [DROP]}])
def test_after_any_other_error_the_connection_is_dropped(connect: Connect, script: dict[str, list[str]]) -> None:
    with ScriptedSmtpServer(**script) as server:
        mailer = connect(server.port)
        with pytest.raises((MailDeferred, MailUncertain, MailRefused)):
            mailer.send(MAIL)
        mailer.send(MAIL)

        assert server.connections == 2


def test_an_interrupted_send_leaves_no_half_used_connection(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_session: Session, _mail: Mail, _following: Mail | None) -> None:
        raise KeyboardInterrupt

    with ScriptedSmtpServer() as server:
        mailer = connect(server.port)
        mailer.send(MAIL)
        with monkeypatch.context() as patch:
            patch.setattr(Session, "finish", interrupted)
            with pytest.raises(KeyboardInterrupt):
                mailer.send(MAIL)
        mailer.send(MAIL)

        assert server.connections == 2


def test_threads_share_a_mailer_and_closing_it_closes_all(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        mailer = connect(server.port)
        together = threading.Barrier(8)

        def work() -> None:
            together.wait()
            for _ in range(10):
                mailer.send(MAIL)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        mailer.close()
        _eventually(lambda: server.verbs().count("QUIT") == 8)

        assert server.connections == 8
        assert server.contents == [MAIL.content] * 80


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"a\r\n.\r\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b".\r\n..\r\n.x\r\n", b".\r\n..\r\n.x\r\n"),
        (b"no end of line", b"no end of line\r\n"),
        (b"a\n.\nMAIL FROM:<evil@example.org>\n", b"a\r\n.\r\nMAIL FROM:<evil@example.org>\r\n"),
        (b"a\r.\r\nb", b"a\r\n.\r\nb\r\n"),
        (b"a\n.\nMAIL FROM:<evil@example.org>\r\n", b"a\r\n.\r\nMAIL FROM:<evil@example.org>\r\n"),
        (b"a\r.\r\r\n", b"a\r\n.\r\n\r\n"),
        (b".a\r\n", b".a\r\n"),
        ("Zoë\r\n".encode(), "Zoë\r\n".encode()),
    ],
)
def test_no_content_can_end_itself(connect: Connect, content: bytes, received: bytes) -> None:
    with ScriptedSmtpServer() as server:
        mailer = connect(server.port)
        mailer.send(replace(MAIL, content=content))
        mailer.send(MAIL)

        assert server.contents == [received, MAIL.content]


def test_a_non_ascii_address_needs_a_server_that_offers_smtputf8(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        with pytest.raises(MailRefused, match="SMTPUTF8"):
            connect(server.port).send(replace(MAIL, recipient="zoë@example.org"))

        assert "MAIL" not in server.verbs()


def test_a_non_ascii_address_is_sent_with_smtputf8_and_the_next_mail_without(connect: Connect) -> None:
    with ScriptedSmtpServer(ehlo=["250-scripted\r\n250-8BITMIME\r\n250 SMTPUTF8"]) as server:
        mailer = connect(server.port)
        mailer.send(replace(MAIL, recipient="zoë@example.org"))
        mailer.send(MAIL)

        assert server.commands[1] == "MAIL FROM:<hello@herald.example> SMTPUTF8 BODY=8BITMIME"
        assert server.commands[2] == "RCPT TO:<zoë@example.org>"
        assert server.commands[4] == "MAIL FROM:<hello@herald.example>"


def test_messages_are_short_and_hold_no_address(connect: Connect) -> None:
    reply = "550-5.1.1 <ada@example.org>: no such user\r\n550 see ada@example.org \x1b[31m" + "x" * 1500
    with ScriptedSmtpServer(rcpt=[reply]) as server, pytest.raises(MailRefused) as caught:
        connect(server.port).send(MAIL)

    message = str(caught.value)
    assert message.startswith("RCPT: 550 5.1.1 <[address]>: no such user see [address] ")
    assert message.isprintable()
    assert len(message) <= 300


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
        assert server.contents == [MAIL.content]


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


def _eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
