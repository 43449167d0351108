"""The envelope at once, where a server offers PIPELINING (RFC 2920). test_smtp.py shows that all ends as without it."""

from contextlib import closing

import pytest

from notifier.errors import MailDeferred, MailRefused
from notifier.senders.smtp import Sender
from notifier.senders.smtp.session import Session

from .mails import CONTENT, MAIL
from .scripted_smtp import DROP, HANG, ScriptedSmtpServer


class Pipelining(ScriptedSmtpServer):
    """A server that offers it."""

    pipelining = True


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is written to the server, write by write."""
    written: list[object] = []
    send = Session.send

    def spy(session: Session, data: bytes | str) -> None:
        written.append(data)
        send(session, data)

    monkeypatch.setattr(Session, "send", spy)
    return written


def mailing(server: ScriptedSmtpServer, timeout: float = 5.0) -> closing[Sender]:
    return closing(Sender(f"smtp://127.0.0.1:{server.port}", timeout=timeout))


@pytest.mark.parametrize(("kind", "number"), [(Pipelining, 2), (ScriptedSmtpServer, 4)])
def test_the_envelope_is_one_write_only_where_the_server_offers_that(
    kind: type[ScriptedSmtpServer], number: int, writes: list[object]
) -> None:
    with kind() as server, mailing(server) as sender:
        sender.send(MAIL)
        del writes[:]
        sender.send(MAIL)

        assert len(writes) == number
        assert server.contents == [CONTENT] * 2


def test_where_it_is_not_offered_nothing_follows_a_refusal() -> None:
    with ScriptedSmtpServer(rcpt=["550 no"]) as server, mailing(server) as sender:
        with pytest.raises(MailRefused):
            sender.send(MAIL)

        assert "DATA" not in server.verbs()


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_a_server_that_wants_content_for_a_refused_mail_gets_none(stage: str) -> None:
    with Pipelining(**{stage: ["550 5.6.7 no"]}, data=["354 go ahead"]) as server, mailing(server) as sender:
        with pytest.raises(MailRefused, match=f"{stage.upper()}: 550 5.6.7 no"):
            sender.send(MAIL)
        sender.send(MAIL)

        assert server.contents == [CONTENT]


@pytest.mark.parametrize("reply", [DROP, HANG, "what?"])
def test_a_refusal_stays_one_whatever_comes_after_it(reply: str) -> None:
    with Pipelining(rcpt=["550 no"], data=[reply]) as server, mailing(server, timeout=0.4) as sender:
        with pytest.raises(MailRefused, match="RCPT: 550 no"):
            sender.send(MAIL)
        sender.send(MAIL)

        assert [content for content in server.contents if content] == [CONTENT]


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_of_a_deferred_mail_no_content_leaves(stage: str) -> None:
    with Pipelining(**{stage: ["450 later"]}, data=["354 go ahead"]) as server, mailing(server) as sender:
        with pytest.raises(MailDeferred, match=f"{stage.upper()}: 450 later"):
            sender.send(MAIL)

        assert server.contents == []
