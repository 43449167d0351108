"""One kept connection for each thread: when the SMTP sender trusts it, and when it makes another."""

import threading
import time
from contextlib import closing

import pytest

from notifier.errors import MailDeferred, MailRefused, MailUncertain
from notifier.senders.smtp.session import Session

from .mails import CONTENT, MAIL, Connect
from .scripted_smtp import DROP, DROP_LATE, HANG, ScriptedSmtpServer

TIMEOUT = 0.4
SLACK = 3.0

pytestmark = pytest.mark.usefixtures("pipelining_or_not")


def test_one_connection_carries_many_mails(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        sender = connect(server.port)
        for _ in range(5):
            sender.send(MAIL)

        assert server.connections == 1
        assert len(server.contents) == 5


@pytest.mark.parametrize("reply", ["421 idle for too long" + DROP, "554 too many mails on this connection", DROP])
def test_a_kept_connection_that_is_used_up_is_replaced(connect: Connect, reply: str) -> None:
    with ScriptedSmtpServer(mail=["250 ok", reply]) as server:
        sender = connect(server.port)
        sender.send(MAIL)
        sender.send(MAIL)

        assert server.connections == 2
        assert len(server.contents) == 2


def test_a_kept_connection_that_died_is_replaced(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        sender = connect(server.port)
        sender.send(MAIL)
        server.drop_connections()
        sender.send(MAIL)

        assert server.connections == 2
        assert len(server.contents) == 2


def test_it_is_replaced_once_only(connect: Connect) -> None:
    with ScriptedSmtpServer(mail=["250 ok", DROP, DROP]) as server:
        sender = connect(server.port)
        sender.send(MAIL)
        with pytest.raises(MailDeferred):
            sender.send(MAIL)

        assert server.connections == 2


def test_the_second_connection_has_the_first_ones_deadline(connect: Connect) -> None:
    with ScriptedSmtpServer(mail=["250 ok", DROP_LATE, HANG]) as server:
        sender = connect(server.port, timeout=server.late + 0.2)
        sender.send(MAIL)
        started = time.monotonic()
        with pytest.raises(MailDeferred):
            sender.send(MAIL)

        assert server.connections == 2
        assert time.monotonic() - started < server.late + server.late + 0.2


def test_each_mail_on_a_kept_connection_has_a_deadline_of_its_own(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        sender = connect(server.port, timeout=1.0)
        sender.send(MAIL)
        time.sleep(1.1)
        sender.send(MAIL)

        assert server.connections == 1


def test_a_connection_that_was_idle_for_long_is_not_trusted(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        sender = connect(server.port, idle=0.05)
        sender.send(MAIL)
        time.sleep(0.1)
        sender.send(MAIL)

        assert server.connections == 2
        assert server.verbs().count("MAIL") == 2


@pytest.mark.parametrize(
    "script", [{"rcpt": ["450 no"]}, {"rcpt": ["550 no"]}, {"content": ["550 no"]}, {"content": [DROP]}]
)
def test_after_any_error_the_connection_is_dropped(connect: Connect, script: dict[str, list[str]]) -> None:
    with ScriptedSmtpServer(**script) as server:
        sender = connect(server.port)
        with pytest.raises((MailDeferred, MailUncertain, MailRefused)):
            sender.send(MAIL)
        sender.send(MAIL)

        assert server.connections == 2


def test_an_interrupted_send_leaves_no_half_used_connection(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_session: Session, _content: bytes) -> None:
        raise KeyboardInterrupt

    with ScriptedSmtpServer() as server:
        sender = connect(server.port)
        sender.send(MAIL)
        with monkeypatch.context() as patch:
            patch.setattr(Session, "finish", interrupted)
            with pytest.raises(KeyboardInterrupt):
                sender.send(MAIL)
        sender.send(MAIL)

        assert server.connections == 2


def test_threads_share_a_sender_and_each_has_its_connection(connect: Connect) -> None:
    with ScriptedSmtpServer() as server:
        sender = connect(server.port)
        together = threading.Barrier(8)

        def work() -> None:
            together.wait()
            with closing(sender):
                for _ in range(10):
                    sender.send(MAIL)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert server.connections == 8
        assert server.contents == [CONTENT] * 80
