"""The envelope at once, where a server offers PIPELINING (RFC 2920); that all ends as without it is in test_smtp.py."""

from contextlib import closing

import pytest

from notifier.email import Mail
from notifier.errors import MailDeferred, MailRefused
from notifier.smtp import Mailer, SmtpSettings
from notifier.smtp_session import Session

from .scripted_smtp import DROP, HANG, ScriptedSmtpServer

MAIL = Mail("hello@herald.example", "ada@example.org", "<1@herald.example>", b"Subject: Hi\r\n\r\nHello\r\n")


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


def mailing(server: ScriptedSmtpServer, timeout: float = 5.0) -> closing[Mailer]:
    return closing(Mailer(SmtpSettings.parse(f"smtp://127.0.0.1:{server.port}"), timeout=timeout))


@pytest.mark.parametrize(("kind", "number"), [(Pipelining, 2), (ScriptedSmtpServer, 4)])
def test_the_envelope_is_one_write_only_where_the_server_offers_that(
    kind: type[ScriptedSmtpServer], number: int, writes: list[object]
) -> None:
    with kind() as server, mailing(server) as mailer:
        mailer.send(MAIL)
        del writes[:]
        mailer.send(MAIL)

        assert len(writes) == number
        assert server.contents == [MAIL.content] * 2


def test_where_it_is_not_offered_nothing_follows_a_refusal() -> None:
    with ScriptedSmtpServer(rcpt=["550 no"]) as server, mailing(server) as mailer:
        with pytest.raises(MailRefused):
            mailer.send(MAIL)

        assert "DATA" not in server.verbs()


@pytest.mark.parametrize("last", ["250 ok", "554 no valid recipients"])
@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_a_server_that_wants_content_for_a_refused_mail_gets_none(stage: str, last: str) -> None:
    script = {stage: ["550 no"], "data": ["354 go ahead"], "content": [last]}
    with Pipelining(**script) as server, mailing(server) as mailer:
        with pytest.raises(MailRefused, match=f"{stage.upper()}: 550 no"):
            mailer.send(MAIL)
        mailer.send(MAIL)

        assert server.contents == [b"", MAIL.content]
        assert server.connections == 1


@pytest.mark.parametrize("reply", [DROP, HANG, "what?"])
@pytest.mark.parametrize("stage", ["data", "content"])
def test_a_refusal_stays_one_whatever_comes_after_it(stage: str, reply: str) -> None:
    script = {"rcpt": ["550 no"], "data": ["354 go ahead"]} | {stage: [reply]}
    with Pipelining(**script) as server, mailing(server, timeout=0.4) as mailer:
        with pytest.raises(MailRefused, match="RCPT: 550 no"):
            mailer.send(MAIL)
        mailer.send(MAIL)

        assert [content for content in server.contents if content] == [MAIL.content]


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_of_a_deferred_mail_no_content_leaves(stage: str) -> None:
    with Pipelining(**{stage: ["450 later"]}, data=["354 go ahead"]) as server, mailing(server) as mailer:
        with pytest.raises(MailDeferred, match=f"{stage.upper()}: 450 later"):
            mailer.send(MAIL)

        assert server.contents == []
