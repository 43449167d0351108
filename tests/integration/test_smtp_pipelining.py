"""The envelope at once and ahead, where a server offers PIPELINING (RFC 2920); test_smtp.py shows that all ends as
without it.
"""

import time
from contextlib import closing
from dataclasses import replace

import pytest

from notifier.email import Mail
from notifier.errors import MailDeferred, MailRefused, MailUncertain
from notifier.smtp import Mailer, SmtpSettings
from notifier.smtp.session import Session

from .scripted_smtp import DROP, HANG, SLOW, ScriptedSmtpServer

MAIL = Mail("hello@herald.example", "ada@example.org", "<1@herald.example>", b"Subject: Hi\r\n\r\nHello\r\n")
NEXT = replace(MAIL, recipient="bob@example.org", content=b"Subject: Hi\r\n\r\nHello Bob\r\n")
OTHER = replace(MAIL, recipient="eve@example.org", content=b"Subject: Hi\r\n\r\nHello Eve\r\n")


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


def mailing(server: ScriptedSmtpServer, timeout: float = 5.0, idle: float = 30.0) -> closing[Mailer]:
    return closing(Mailer(SmtpSettings.parse(f"smtp://127.0.0.1:{server.port}"), timeout=timeout, idle=idle))


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
    script = {stage: ["550 5.6.7 no"], "data": ["354 go ahead"], "content": [last]}
    with Pipelining(**script) as server, mailing(server) as mailer:
        with pytest.raises(MailRefused, match=f"{stage.upper()}: 550 5.6.7 no"):
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


# Announced: an envelope before its mail's turn


def test_an_announced_mail_costs_one_write_more_and_one_wait_less(writes: list[object]) -> None:
    with Pipelining() as server, mailing(server) as mailer:
        mailer.send(MAIL)
        del writes[:]
        mailer.announce(NEXT)
        assert len(writes) == 1
        mailer.send(NEXT)

        assert len(writes) == 2
        assert server.contents == [MAIL.content, NEXT.content]
        assert server.connections == 1


def test_the_envelope_of_the_next_mail_goes_with_the_content(writes: list[object]) -> None:
    with Pipelining() as server, mailing(server) as mailer:
        mailer.send(MAIL)
        del writes[:]
        mailer.send(MAIL, following=NEXT)
        mailer.send(NEXT, following=OTHER)
        mailer.send(OTHER)

        assert len(writes) == 4, "one envelope, and a content each"
        assert server.contents == [MAIL.content, MAIL.content, NEXT.content, OTHER.content]
        assert [each for each in server.commands if each.startswith("RCPT")][-2:] == [
            "RCPT TO:<bob@example.org>",
            "RCPT TO:<eve@example.org>",
        ]
        assert server.connections == 1


@pytest.mark.parametrize("following", [NEXT, replace(NEXT, sender="other@herald.example")])
def test_what_is_announced_and_does_not_come_is_never_sent(following: Mail) -> None:
    with Pipelining() as server, mailing(server) as mailer:
        mailer.send(MAIL, following=following)
        mailer.send(OTHER)

        assert server.contents == [MAIL.content, OTHER.content], "not even an empty one"
        assert server.connections == 2


def test_withdrawing_ends_the_conversation_without_a_mail() -> None:
    with Pipelining() as server, mailing(server) as mailer:
        mailer.send(MAIL, following=NEXT)
        mailer.withdraw()
        mailer.withdraw()
        mailer.send(NEXT)

        assert server.contents == [MAIL.content, NEXT.content]
        assert server.connections == 2
        assert "QUIT" not in server.verbs()


def test_withdrawing_nothing_keeps_the_connection() -> None:
    with Pipelining() as server, mailing(server) as mailer:
        mailer.withdraw()
        mailer.send(MAIL)
        mailer.withdraw()
        mailer.send(NEXT)

        assert server.connections == 1


def test_closing_sends_nothing_as_the_content_of_what_was_announced() -> None:
    with Pipelining() as server:
        with mailing(server) as mailer:
            mailer.send(MAIL, following=NEXT)

        assert server.contents == [MAIL.content]
        assert "QUIT" not in server.verbs()


def test_a_server_that_has_waited_for_long_is_not_trusted_with_a_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.smtp.session._ANNOUNCED_SECONDS", 0.05)
    with Pipelining() as server, mailing(server) as mailer:
        mailer.send(MAIL, following=NEXT)
        time.sleep(0.06)
        mailer.send(NEXT)

        assert server.contents == [MAIL.content, NEXT.content]
        assert server.connections == 2


def test_nothing_is_announced_on_a_connection_that_was_idle_for_long(writes: list[object]) -> None:
    with Pipelining() as server, mailing(server, idle=0.05) as mailer:
        mailer.send(MAIL)
        time.sleep(0.06)
        del writes[:]
        mailer.announce(NEXT)
        assert writes == []
        mailer.send(NEXT)

        assert server.contents == [MAIL.content, NEXT.content]
        assert server.connections == 2


def test_a_server_that_takes_its_time_for_a_content_is_as_good_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.smtp.session._ANNOUNCED_SECONDS", 0.3)
    with Pipelining(content=[SLOW + "250 ok"]) as server, mailing(server) as mailer:
        mailer.send(MAIL, following=NEXT)
        mailer.send(NEXT)

        assert server.connections == 1


def test_an_announcement_on_a_connection_that_is_no_more_costs_nothing() -> None:
    with Pipelining() as server, mailing(server) as mailer:
        mailer.send(MAIL)
        server.drop_connections()
        mailer.announce(NEXT)
        mailer.send(NEXT)

        assert server.contents == [MAIL.content, NEXT.content]
        assert server.connections == 2


def test_an_announced_mail_that_is_refused_harms_no_other() -> None:
    script = {"rcpt": ["250 ok", "550 no"], "data": ["354 go ahead", "554 no valid recipients"]}
    with Pipelining(**script) as server, mailing(server) as mailer:
        mailer.send(MAIL, following=NEXT)
        with pytest.raises(MailRefused, match="RCPT: 550 no"):
            mailer.send(NEXT, following=OTHER)
        mailer.send(OTHER)

        assert server.contents == [MAIL.content, OTHER.content]
        assert server.connections == 1


def test_a_connection_that_is_used_up_is_replaced_for_an_announced_mail_too() -> None:
    with Pipelining(mail=["250 ok", "421 enough" + DROP]) as server, mailing(server) as mailer:
        mailer.send(MAIL, following=NEXT)
        mailer.send(NEXT)

        assert server.contents == [MAIL.content, NEXT.content]
        assert server.connections == 2


def test_a_refused_content_harms_not_what_is_announced_behind_it() -> None:
    with Pipelining(content=["554 spam"]) as server, mailing(server) as mailer:
        with pytest.raises(MailRefused, match="content: 554 spam"):
            mailer.send(MAIL, following=NEXT)
        mailer.send(NEXT)

        assert server.contents == [MAIL.content, NEXT.content]
        assert (server.connections, "RSET" in server.verbs()) == (1, False)


@pytest.mark.parametrize(
    ("reply", "outcome"), [("451 later", MailDeferred), ("what?", MailUncertain), (DROP, MailUncertain)]
)
def test_after_trouble_with_a_content_the_announced_mail_has_a_new_connection(
    reply: str, outcome: type[Exception]
) -> None:
    with Pipelining(content=[reply]) as server, mailing(server) as mailer:
        with pytest.raises(outcome):
            mailer.send(MAIL, following=NEXT)
        mailer.send(NEXT)

        assert server.contents == [MAIL.content, NEXT.content]
        assert server.connections == 2


ABROAD = replace(MAIL, recipient="zoë@example.org")


class Worldly(ScriptedSmtpServer):
    """A server that takes any address."""

    def __init__(self, **script: list[str]) -> None:
        super().__init__(ehlo=["250-scripted\r\n250-PIPELINING\r\n250 SMTPUTF8"] * 9, **script)


@pytest.mark.parametrize(
    ("kind", "mail"), [(ScriptedSmtpServer, MAIL), (Worldly, ABROAD)], ids=["not offered", "not in ASCII"]
)
def test_what_cannot_be_announced_is_sent_when_it_is_its_turn(
    kind: type[ScriptedSmtpServer], mail: Mail, writes: list[object]
) -> None:
    with kind() as server, mailing(server) as mailer:
        mailer.send(MAIL, following=mail)
        del writes[:]
        mailer.announce(mail)
        assert writes == []
        mailer.send(mail, following=MAIL)
        mailer.send(MAIL)

        assert server.contents == [MAIL.content, mail.content, MAIL.content]
        assert server.connections == 1


def test_nothing_is_announced_before_there_is_a_connection(writes: list[object]) -> None:
    with Pipelining() as server, mailing(server) as mailer:
        mailer.announce(MAIL)

        assert (writes, server.connections) == ([], 0)
