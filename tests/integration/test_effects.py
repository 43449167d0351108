"""The effect ledger: each effect is caused once, and honest where nobody can know. Real PostgreSQL."""

import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
import redis

from contracts import WELCOME_EMAIL
from devstack.postgres import Postgres
from messaging import HandedBack, PermanentError, RetryLater, TransientError, Unavailable, UncertainError
from messaging.effects import Uncertain, decisions
from messaging.effects.claims import Ending
from messaging.effects.once import Once
from messaging.errors import ClaimLost, EffectHeld
from messaging.process.database import connect

from .effect_world import Consumer, address, error_of, kinds


@pytest.fixture
def consumer(effects_database: str) -> Iterator[Consumer]:
    consumer = Consumer(effects_database)
    yield consumer
    consumer.ledger.close()


# One effect


def test_an_effect_is_caused_once_however_often_its_event_comes(consumer: Consumer) -> None:
    for generation in (0, 0, 1):
        assert consumer.attempt(1, generation=generation) == [None]

    assert consumer.provider.done == [address(1)]
    assert consumer.rows("SELECT state, reference FROM effects") == [("done", f"reference of {address(1)}")]


def test_the_key_is_the_same_whenever_the_event_comes(consumer: Consumer) -> None:
    consumer.provider.trouble[""] = TransientError("later")
    consumer.attempt(1)
    consumer.attempt(1, generation=1)

    assert consumer.provider.keys == [f"welcome_email.{consumer.event_id(1)}"] * 2


@pytest.mark.parametrize("trouble", [TransientError("later"), PermanentError("never"), Unavailable("away")])
def test_an_effect_that_certainly_did_not_happen_can_be_tried_again_at_once(
    consumer: Consumer, trouble: Exception
) -> None:
    consumer.provider.trouble[""] = trouble
    assert consumer.attempt(1, uncertain="hold") == [trouble]
    assert consumer.states() == ["released"]

    consumer.provider.trouble.clear()
    assert consumer.attempt(1, uncertain="hold") == [None]


def test_while_one_attempt_is_at_work_another_waits_for_it(consumer: Consumer) -> None:
    consumer.crash(1)

    [error] = consumer.attempt(1)

    assert isinstance(error, RetryLater)
    assert 50 < error.after <= 66
    assert consumer.provider.tried == 0


def test_after_a_crash_resend_causes_it_again(consumer: Consumer) -> None:
    consumer.crash(1)
    consumer.let_claims_run_out()

    assert consumer.attempt(1) == [None]


def test_after_a_crash_hold_asks_an_operator(consumer: Consumer) -> None:
    consumer.crash(1)
    consumer.let_claims_run_out()

    for _ in range(2):  # also when the same delivery comes again because its receipt was lost
        assert kinds(consumer.attempt(1, uncertain="hold")) == [EffectHeld]
    assert (consumer.provider.done, consumer.states()) == ([], ["uncertain"])

    assert consumer.attempt(1, uncertain="hold", generation=1) == [None]
    assert consumer.states() == ["done"]


def test_an_operators_switch_to_resend_frees_what_is_held(consumer: Consumer) -> None:
    consumer.crash(1)
    consumer.let_claims_run_out()
    assert kinds(consumer.attempt(1, uncertain="hold")) == [EffectHeld]

    assert consumer.attempt(1, uncertain="resend") == [None]


def test_no_answer_is_uncertain_under_hold(consumer: Consumer) -> None:
    consumer.provider.trouble[""] = UncertainError("no answer")

    assert kinds(consumer.attempt(1, uncertain="hold")) == [UncertainError]
    assert consumer.states() == ["uncertain"]


def test_no_answer_is_tried_again_under_resend_a_minute_later(consumer: Consumer) -> None:
    consumer.provider.trouble[""] = UncertainError("no answer")
    [error] = consumer.attempt(1)
    assert isinstance(error, RetryLater)
    assert error.after == 60
    assert "policy `resend`" in str(error)

    consumer.provider.trouble.clear()
    assert consumer.attempt(1) == [None]


def test_a_provider_that_never_answers_in_time_is_not_sent_copies_for_ever(consumer: Consumer) -> None:
    consumer.provider.trouble[""] = UncertainError("no answer")
    assert [kinds(consumer.attempt(1)) for _ in range(3)] == [[RetryLater], [RetryLater], [UncertainError]]

    consumer.provider.trouble.clear()
    assert kinds(consumer.attempt(1)) == [EffectHeld]
    assert consumer.provider.done == []

    assert consumer.attempt(1, generation=1) == [None]


def test_a_certain_failure_between_two_doubts_forgets_neither(consumer: Consumer) -> None:
    for trouble in (UncertainError("no answer"), TransientError("later"), UncertainError("no answer")):
        consumer.provider.trouble[""] = trouble
        assert isinstance(consumer.attempt(1)[0], TransientError)

    consumer.provider.trouble[""] = UncertainError("no answer")
    assert kinds(consumer.attempt(1)) == [UncertainError]


def test_after_an_operator_has_asked_again_the_doubts_are_counted_anew(consumer: Consumer) -> None:
    consumer.provider.trouble[""] = UncertainError("no answer")
    for generation in (0, 1):
        outcomes = [kinds(consumer.attempt(1, generation=generation)) for _ in range(3)]
        assert outcomes == [[RetryLater], [RetryLater], [UncertainError]]


def test_an_operators_question_is_answered_once(consumer: Consumer) -> None:
    consumer.provider.trouble[""] = UncertainError("no answer")
    assert kinds(consumer.attempt(1, uncertain="hold", generation=1)) == [UncertainError]
    consumer.provider.trouble.clear()

    assert kinds(consumer.attempt(1, uncertain="hold", generation=1)) == [EffectHeld]
    assert consumer.provider.done == []


@pytest.mark.parametrize(("uncertain", "generation"), [("resend", 0), ("resend", 1), ("hold", 2)])
def test_what_is_done_stays_done_long_after_its_claim_has_run_out(
    consumer: Consumer, uncertain: Uncertain, generation: int
) -> None:
    consumer.attempt(1)
    consumer.rows("UPDATE effects SET claimed_until = now() - interval '1 day'")

    assert consumer.attempt(1, uncertain=uncertain, generation=generation) == [None]
    assert len(consumer.provider.done) == 1


# Attempts that slept past their claims


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [(None, ClaimLost), (TransientError("later"), TransientError), (UncertainError("no answer"), UncertainError)],
)
def test_an_attempt_that_slept_past_its_claim_disturbs_neither_the_next_one_nor_its_record(
    consumer: Consumer, trouble: Exception | None, outcome: type
) -> None:
    quick = consumer.claim_of(1)

    def sleep_past_the_claim() -> None:
        consumer.let_claims_run_out()
        assert consumer.ledger.claim([quick]) == {quick.token}

    consumer.provider.meanwhile[address(1)] = sleep_past_the_claim
    consumer.provider.trouble = {"": trouble} if trouble else {}

    assert kinds(consumer.attempt(1)) == [outcome]
    assert consumer.states() == ["claimed"]

    assert consumer.ledger.record([Ending(quick, "done")]) == {quick.token: 1}, "the claim that ran out is a doubt"
    consumer.ledger.record([Ending(quick, "released"), Ending(quick, "uncertain")])
    assert consumer.states() == ["done"]


def test_a_token_of_one_effect_records_no_other(consumer: Consumer) -> None:
    mine, others = consumer.claim_of(1), consumer.claim_of(2)
    consumer.ledger.claim([mine, others])

    crossed = [Ending(type(mine)(mine.event_id, "welcome_email", 0, others.token), "done")]

    assert consumer.ledger.record(crossed) == {}
    assert consumer.states() == ["claimed", "claimed"]


def test_a_claim_that_another_has_taken_is_not_used(effects_database: str) -> None:
    consumer = Consumer(
        effects_database, limit=-0.5
    )  # so that a claim is prolonged as soon as half a second has passed
    consumer.ledger.lease = 1.0

    def be_slow() -> None:
        consumer.rows(f"UPDATE effects SET claim = gen_random_uuid() WHERE event_id = '{consumer.event_id(3)}'")
        consumer.rows("SELECT pg_sleep(0.6)")

    consumer.provider.meanwhile[address(1)] = be_slow

    assert kinds(consumer.attempt(1, 2, 3, 4)) == [type(None), type(None), ClaimLost, type(None)]
    assert consumer.provider.done == [address(1), address(2), address(4)]
    consumer.ledger.close()


# Many effects


def test_at_most_ten_effects_are_claimed_and_not_recorded(consumer: Consumer) -> None:
    claimed: list[int] = []
    for number in range(25):
        consumer.provider.meanwhile[address(number)] = lambda: claimed.append(consumer.states().count("claimed"))

    assert consumer.attempt(*range(25)) == [None] * 25
    assert max(claimed) == 10
    assert consumer.states() == ["done"] * 25


@pytest.mark.parametrize(
    ("trouble", "left"),
    [
        (PermanentError("never"), "released"),
        (TransientError("later"), "released"),
        (UncertainError("no answer"), "uncertain"),
        (ValueError("a bug"), "claimed"),
        (SystemExit("a bug too"), "claimed"),
    ],
)
def test_one_bad_event_takes_no_neighbour_with_it(consumer: Consumer, trouble: BaseException, left: str) -> None:
    consumer.provider.trouble[address(4)] = trouble

    outcomes = consumer.attempt(*range(15), uncertain="hold")

    assert outcomes.pop(4) is trouble
    assert outcomes == [None] * 14
    assert consumer.states() == sorted([left] + ["done"] * 14)


def test_what_is_done_and_what_another_has_claimed_needs_no_call(consumer: Consumer) -> None:
    consumer.attempt(1, 2)
    consumer.crash(4)

    assert kinds(consumer.attempt(1, 2, 3, 4)) == [type(None), type(None), type(None), RetryLater]
    assert consumer.provider.done == [address(1), address(2), address(3)]


def test_a_provider_that_is_away_is_asked_once_for_all(consumer: Consumer) -> None:
    consumer.provider.trouble[address(3)] = away = Unavailable("no route to host")

    assert consumer.attempt(*range(25)) == [None] * 3 + [away] * 22
    assert consumer.provider.tried == 4
    assert consumer.states() == ["done"] * 3 + ["released"] * 7, "others can have them at once"


def test_a_worker_that_stops_hands_back_what_it_has_not_begun(consumer: Consumer) -> None:
    consumer.provider.meanwhile[address(2)] = consumer.stopping.set

    assert kinds(consumer.attempt(*range(25))) == [type(None)] * 3 + [HandedBack] * 22
    assert consumer.provider.tried == 3
    assert consumer.states() == ["done"] * 3 + ["released"] * 7


def test_the_time_limit_of_a_message_is_checked_between_two_calls(consumer: Consumer) -> None:
    consumer.provider.meanwhile[address(2)] = lambda: time.sleep(3)
    once = Once(
        consumer.stopping, WELCOME_EMAIL.model_copy(update={"time_limit": 3.0}), consumer.provider, consumer.ledger
    )

    outcomes = [error_of(end) for _, end in once.results(consumer.attempts[2:20])]

    assert None in outcomes
    assert HandedBack in kinds(outcomes)
    assert len(consumer.provider.done) == outcomes.count(None)


def test_an_event_that_comes_twice_in_a_message_is_handled_once(consumer: Consumer) -> None:
    assert len(list(consumer.results(1, 1))) == 1
    assert consumer.provider.done == [address(1)]


def test_a_message_that_is_dropped_in_the_middle_gives_its_claims_back(consumer: Consumer) -> None:
    consumer.crash(2)
    running = consumer.results(1, 2, 3)

    next(running)
    running.close()
    consumer.ledger.recorder.close()

    assert consumer.states() == ["claimed", "released", "released"]


def test_two_effects_of_one_event_have_nothing_to_do_with_each_other(consumer: Consumer) -> None:
    first = consumer.claim_of(1)
    other = type(first)(first.event_id, "follow_up_email", 0)
    assert consumer.ledger.claim([first]) == {first.token}
    assert consumer.ledger.claim([other]) == {other.token}

    assert consumer.ledger.record([Ending(first, "done"), Ending(other, "uncertain")]) == {
        first.token: 0,
        other.token: 1,
    }
    assert consumer.rows("SELECT subscription, state FROM effects ORDER BY 1") == [
        ("follow_up_email", "uncertain"),
        ("welcome_email", "done"),
    ]


def test_a_ledger_that_was_empty_when_it_was_first_asked_is_not_read_whole_when_it_is_full(
    consumer: Consumer,
) -> None:
    for _ in range(10):  # by now PostgreSQL has made its plan, for an almost empty table
        consumer.attempts = Consumer.fresh_attempts()
        consumer.attempt(*range(31))

    consumer.rows("SELECT pg_stat_force_next_flush()")
    assert consumer.rows("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'effects'") == [(0,)]
    [(read,)] = consumer.rows("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE relname = 'effects'")
    assert int(read) < 2 * 310


def test_without_a_ledger_nothing_is_caused(postgres: Postgres) -> None:
    consumer = Consumer(postgres.url("nowhere"))
    consumer.ledger._pool.timeout = 0.1

    assert {type(error).__name__ for error in consumer.attempt(*range(25))} == {"PoolTimeout"}
    assert consumer.provider.tried == 0
    consumer.stopping.set()


def test_a_decision_is_about_the_latest_dispatch_that_met_the_doubt(consumer: Consumer) -> None:
    consumer.ledger.uncertain = "hold"
    first, second = (replace(consumer.claim_of(1), token=uuid4(), publisher="x", dispatch=number) for number in (1, 2))
    consumer.ledger.claim([first])
    consumer.ledger.record([Ending(first, "uncertain", evidence="no reply")])

    consumer.ledger.claim([second])
    assert kinds(list(consumer.ledger.look([second]).values())) == [EffectHeld]  # type: ignore[arg-type]
    assert consumer.rows("SELECT dispatch, doubts, evidence FROM effects") == [(2, 1, "no reply")]


def test_an_effect_that_an_attempt_has_claimed_meanwhile_is_not_confirmed(consumer: Consumer) -> None:
    consumer.ledger.claim([claim := consumer.claim_of(1)])
    consumer.ledger.record([Ending(claim, "uncertain")])
    with connect(consumer.url, name="test") as connection:
        [effect] = decisions.uncertain_effects(connection)
        consumer.rows("UPDATE effects SET state = 'claimed'")
        assert not decisions.confirm(connection, redis.Redis(port=1), effect)


def test_a_doubt_that_was_resolved_waits_for_no_decision(consumer: Consumer) -> None:
    """Nobody has confirmed it, and what the provider calls it isn't overwritten by a late confirmation."""
    consumer.provider.trouble[""] = UncertainError("no reply")
    consumer.attempt(1)
    effect = one_effect(consumer)
    consumer.provider.trouble.clear()
    consumer.let_claims_run_out()
    assert consumer.attempt(1) == [None]
    [(reference,)] = consumer.rows("SELECT reference FROM effects")

    with connect(consumer.url, name="test") as connection:
        assert decisions.find(connection, effect.event_id, None) == []
        decisions.confirm(connection, redis.Redis(), replace(effect, publisher=None), "something else")
    assert consumer.rows("SELECT state, reference FROM effects") == [("done", reference)]


def one_effect(consumer: Consumer) -> decisions.UncertainEffect:
    with connect(consumer.url, name="test") as connection:
        [effect] = decisions.uncertain_effects(connection)
        return effect
