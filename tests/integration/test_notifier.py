"""The welcome email, as a plain function on a real ledger: sent once, and honest where nobody can know."""

import math
from collections.abc import Callable, Iterator
from threading import Event as Flag
from typing import LiteralString, cast

import psycopg
import pytest
from psycopg_pool import PoolTimeout
from structlog.testing import capture_logs
from tests.conftest import user_registered

from contracts import Event, UserRegistered
from devstack.postgres import Postgres
from messaging import PermanentError, RetryLater
from messaging.database import Pool, open_pool
from notifier.email import Mail
from notifier.errors import ClaimLost, MailDeferred, MailHeld, MailRefused, MailUncertain
from notifier.handlers import WELCOME, send_welcome_email
from notifier.ledger import Claim, Ledger, Uncertain
from notifier.smtp import Mailer, SmtpSettings


class Postman(Mailer):
    """Takes mails, or raises what a mail server would have come to (tests/integration/test_smtp.py shows when)."""

    def __init__(self) -> None:
        super().__init__(SmtpSettings.parse("smtp://localhost"))
        self.sent: list[Mail] = []
        self.trouble: Exception | None = None
        self.within = math.inf

    def send(self, mail: Mail, *, within: float = math.inf) -> None:
        self.within = within
        if self.trouble:
            raise self.trouble
        self.sent.append(mail)


@pytest.fixture
def pool(new_database: Callable[[str], str]) -> Iterator[Pool]:
    with open_pool(new_database("notifier"), size=4, name="test") as opened:
        yield opened


@pytest.fixture
def postman() -> Postman:
    return Postman()


@pytest.fixture
def event() -> Event[UserRegistered]:
    return cast(Event[UserRegistered], user_registered(1))


Send = Callable[..., None]


@pytest.fixture
def send(pool: Pool, postman: Postman, event: Event[UserRegistered]) -> Send:
    """Make one attempt: `send("hold", generation=1)`."""

    def attempt(uncertain: Uncertain = "resend", generation: int = 0) -> None:
        ledger = Ledger(pool, uncertain=uncertain, lease=60, stopping=Flag())
        send_welcome_email(event, generation, ledger=ledger, mailer=postman, sender="Herald <hello@example.com>")

    return attempt


@pytest.fixture
def crashed(pool: Pool, event: Event[UserRegistered]) -> Callable[[], None]:
    """An attempt has claimed the mail and died; call it to let the claim run out."""
    Ledger(pool, uncertain="resend", lease=60, stopping=Flag()).claim(event.id, WELCOME, 0)

    def expire() -> None:
        with pool.connection() as connection:
            connection.execute("UPDATE emails SET claimed_until = now()")

    return expire


def ledger_states(pool: Pool) -> list[str]:
    with pool.connection() as connection:
        return [row[0] for row in connection.execute("SELECT state FROM emails")]


def test_a_mail_is_sent_once_however_often_its_event_comes(send: Send, postman: Postman, pool: Pool) -> None:
    for generation in (0, 0, 1):
        send(generation=generation)

    assert [mail.recipient for mail in postman.sent] == ["user1@example.com"]
    assert ledger_states(pool) == ["sent"]


def test_a_mail_certainly_not_accepted_can_be_sent_at_once(send: Send, postman: Postman, pool: Pool) -> None:
    for trouble in (MailDeferred("450 later"), MailRefused("550 never")):
        postman.trouble = trouble
        with pytest.raises(type(trouble)):
            send()
        assert ledger_states(pool) == []

    postman.trouble = None
    send()
    assert len(postman.sent) == 1


def test_a_refusal_is_permanent_and_a_deferral_is_not() -> None:
    assert issubclass(MailRefused, PermanentError)
    assert not issubclass(MailDeferred, PermanentError)


def test_while_one_attempt_sends_another_waits_for_it(crashed: object, send: Send, postman: Postman) -> None:
    with pytest.raises(RetryLater) as caught:
        send()

    assert 50 < caught.value.after <= 61
    assert postman.sent == []


def test_after_a_crash_resend_sends_again(crashed: Callable[[], None], send: Send, postman: Postman) -> None:
    crashed()

    send("resend")

    assert len(postman.sent) == 1


def test_after_a_crash_hold_asks_an_operator(
    crashed: Callable[[], None], send: Send, postman: Postman, pool: Pool
) -> None:
    crashed()

    for _ in range(2):  # also when the same delivery comes again because its receipt was lost
        with pytest.raises(MailHeld):
            send("hold")
    assert (postman.sent, ledger_states(pool)) == ([], ["uncertain"])

    send("hold", generation=1)
    assert (len(postman.sent), ledger_states(pool)) == (1, ["sent"])


def test_an_operators_switch_to_resend_frees_held_mails(
    crashed: Callable[[], None], send: Send, postman: Postman
) -> None:
    crashed()
    with pytest.raises(MailHeld):
        send("hold")

    send("resend")

    assert len(postman.sent) == 1


def test_no_answer_after_the_content_is_uncertain_under_hold(send: Send, postman: Postman, pool: Pool) -> None:
    postman.trouble = MailUncertain("no answer")

    with pytest.raises(MailUncertain):
        send("hold")

    assert ledger_states(pool) == ["uncertain"]


def test_no_answer_after_the_content_is_sent_again_under_resend(send: Send, postman: Postman) -> None:
    postman.trouble = MailUncertain("no answer")
    with pytest.raises(RetryLater, match="NOTIFIER_UNCERTAIN=resend"):
        send("resend")

    postman.trouble = None
    send("resend")

    assert len(postman.sent) == 1


def test_a_server_that_never_answers_in_time_is_not_sent_copies_for_ever(send: Send, postman: Postman) -> None:
    postman.trouble = MailUncertain("no answer")
    for _ in range(2):
        with pytest.raises(RetryLater):
            send("resend")
    with pytest.raises(MailUncertain):
        send("resend")

    postman.trouble = None
    with pytest.raises(MailHeld):
        send("resend")
    assert postman.sent == []

    send("resend", generation=1)
    assert len(postman.sent) == 1


def test_an_attempt_that_slept_past_its_claim_cannot_record(
    pool: Pool, event: Event[UserRegistered], crashed: Callable[[], None]
) -> None:
    ledger = Ledger(pool, uncertain="resend", lease=60, stopping=Flag())
    crashed()
    slow = ledger.claim(event.id, WELCOME, 0)
    assert slow is not None
    crashed()
    quick = ledger.claim(event.id, WELCOME, 0)
    assert quick is not None

    with pytest.raises(ClaimLost):
        ledger.record(slow)
    ledger.release(slow)
    assert ledger_states(pool) == ["sending"]
    ledger.record(quick)
    assert ledger_states(pool) == ["sent"]


def test_a_lapse_of_postgresql_does_not_repeat_a_mail_that_is_sent(
    pool: Pool, event: Event[UserRegistered], new_database: Callable[[str], str]
) -> None:
    ledger = Ledger(pool, uncertain="resend", lease=60, stopping=Flag())
    claim = ledger.claim(event.id, WELCOME, 0)
    assert claim is not None
    with pool.connection() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    ledger.record(claim)

    assert ledger_states(pool) == ["sent"]


def test_a_worker_that_stops_does_not_wait_for_a_database_to_record_what_is_sent(
    event: Event[UserRegistered], postgres: Postgres
) -> None:
    stopping = Flag()
    stopping.set()
    with open_pool(postgres.url("nowhere"), size=1, name="test") as away:
        away.timeout = 0.1
        ledger = Ledger(away, uncertain="resend", lease=60, stopping=stopping)

        ledger.record(Claim(event.id, WELCOME, event.id, 0.0))


def test_a_mail_that_is_sent_stays_sent_long_after_its_claim_has_run_out(
    send: Send, postman: Postman, pool: Pool
) -> None:
    send()
    with pool.connection() as connection:
        connection.execute("UPDATE emails SET claimed_until = now() - interval '1 day'")

    send("resend")
    send("resend", generation=1)
    send("hold", generation=2)

    assert len(postman.sent) == 1


def test_a_mail_is_sent_within_its_claim_with_a_second_to_spare(send: Send, postman: Postman) -> None:
    send()

    assert 45 < postman.within <= 59


def test_when_postgresql_stays_away_recording_gives_up_and_says_so(
    pool: Pool, event: Event[UserRegistered], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(pool, uncertain="resend", lease=60, stopping=Flag())
    claim = ledger.claim(event.id, WELCOME, 0)
    assert claim is not None

    def away(*_: object) -> int:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(ledger, "_execute", away)

    with capture_logs() as lines:
        ledger.record(claim, patience=0.0)

    assert [line["event"] for line in lines] == ["mail.sent_but_not_recorded"]


def test_a_lapse_while_recording_is_waited_out(
    pool: Pool, event: Event[UserRegistered], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(pool, uncertain="resend", lease=60, stopping=Flag())
    claim = ledger.claim(event.id, WELCOME, 0)
    assert claim is not None
    execute, lapses = ledger._execute, iter([psycopg.OperationalError("away"), PoolTimeout("still away")])

    def sometimes(statement: LiteralString, claimed: Claim) -> int:
        for lapse in lapses:
            raise lapse
        return execute(statement, claimed)

    monkeypatch.setattr(ledger, "_execute", sometimes)

    ledger.record(claim)

    assert ledger_states(pool) == ["sent"]


def test_an_attempt_whose_doubt_comes_late_disturbs_neither_the_one_that_sends_nor_what_is_sent(
    pool: Pool, event: Event[UserRegistered], crashed: Callable[[], None]
) -> None:
    ledger = Ledger(pool, uncertain="resend", lease=60, stopping=Flag())
    crashed()
    slow = ledger.claim(event.id, WELCOME, 0)
    crashed()
    quick = ledger.claim(event.id, WELCOME, 0)
    assert slow is not None
    assert quick is not None

    assert not ledger.doubt(slow), "the mail is another's to send again"
    assert ledger_states(pool) == ["sending"]
    ledger.record(quick)
    assert not ledger.doubt(quick)
    ledger.release(quick)
    assert ledger_states(pool) == ["sent"]


def test_after_an_operator_has_asked_again_the_copies_are_counted_anew(send: Send, postman: Postman) -> None:
    postman.trouble = MailUncertain("no answer")
    for generation in (0, 1):
        for _ in range(2):
            with pytest.raises(RetryLater):
                send("resend", generation=generation)
        with pytest.raises(MailUncertain):
            send("resend", generation=generation)


def test_an_operators_question_is_answered_once(send: Send, postman: Postman) -> None:
    postman.trouble = MailUncertain("no answer")
    with pytest.raises(MailUncertain):
        send("hold", generation=1)
    postman.trouble = None

    with pytest.raises(MailHeld):
        send("hold", generation=1)

    assert postman.sent == []


def test_a_server_that_was_silent_is_left_alone_for_a_minute(send: Send, postman: Postman) -> None:
    postman.trouble = MailUncertain("no answer")

    with pytest.raises(RetryLater) as caught:
        send("resend")

    assert caught.value.after == 60
