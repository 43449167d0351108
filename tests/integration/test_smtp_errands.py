"""What a sender has to do meanwhile, while a mail server takes its time."""

import math
import time
from contextlib import closing

import pytest

from notifier.email import Mail
from notifier.errors import MailUncertain
from notifier.smtp import Mailer, SmtpSettings

from .scripted_smtp import HANG, SLOW, ScriptedSmtpServer

MAIL = Mail("hello@herald.example", "ada@example.org", "<1@herald.example>", b"Subject: Hi\r\n\r\nHello\r\n")


class Chore:
    """An errand that is due once, after so many seconds."""

    def __init__(self, after: float) -> None:
        self.began = time.monotonic()
        self.due = self.began + after
        self.ran: list[float] = []

    def due_in(self) -> float:
        return math.inf if self.ran else self.due - time.monotonic()

    def run(self) -> None:
        self.ran.append(time.monotonic() - self.began)


def mailing(server: ScriptedSmtpServer, timeout: float = 5.0) -> closing[Mailer]:
    return closing(Mailer(SmtpSettings.parse(f"smtp://127.0.0.1:{server.port}"), timeout=timeout))


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "content"])
def test_an_errand_is_run_while_the_server_lets_a_mail_wait(stage: str) -> None:
    good = {"data": "354 go ahead"}.get(stage, "250 ok")
    with ScriptedSmtpServer(**{stage: [good, SLOW + good]}) as server, mailing(server) as mailer:
        mailer.send(MAIL)
        chore = Chore(0.1)
        mailer.send(MAIL, errand=chore)

        assert len(server.contents) == 2
        assert [0.1 <= ran < 0.4 for ran in chore.ran] == [True]


def test_an_errand_that_is_not_due_is_not_run() -> None:
    with ScriptedSmtpServer() as server, mailing(server) as mailer:
        mailer.send(MAIL)
        chore = Chore(60)
        mailer.send(MAIL, errand=chore)

        assert chore.ran == []


def test_an_errand_is_run_before_a_connection_is_made() -> None:
    with ScriptedSmtpServer(connect=[SLOW + "220 scripted"]) as server, mailing(server) as mailer:
        chore = Chore(60)
        mailer.send(MAIL, errand=chore)

        assert [ran < 0.4 for ran in chore.ran] == [True]


def test_a_server_gains_no_time_by_an_errand() -> None:
    with ScriptedSmtpServer(content=["250 ok", HANG]) as server, mailing(server, timeout=0.4) as mailer:
        mailer.send(MAIL)
        chore = Chore(0.1)
        with pytest.raises(MailUncertain):
            mailer.send(MAIL, errand=chore)

        assert len(chore.ran) == 1
        assert 0.35 < time.monotonic() - chore.began < 3
