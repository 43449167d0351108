"""Attacks on the effect ledger: handlers that misbehave, claims that run out, and a ledger that is locked."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from tests.patience import PATIENCE

from contracts import WELCOME_EMAIL
from messaging import HandedBack, RetryLater, TransientError, UncertainError
from messaging.effects.claims import Ending
from messaging.effects.once import Once
from messaging.errors import EffectHeld

from .effect_world import Consumer, address, error_of, kinds


@pytest.fixture
def consumer(effects_database: str) -> Iterator[Consumer]:
    consumer = Consumer(effects_database)
    yield consumer
    consumer.ledger.close()


@pytest.mark.parametrize("trouble", [ValueError("a bug after the sending"), HandedBack()])
def test_a_handler_that_always_raises_an_unknown_error_is_called_three_times(
    consumer: Consumer, trouble: BaseException
) -> None:
    consumer.provider.trouble[""] = trouble
    for _ in range(12):
        consumer.attempt(1)
        consumer.let_claims_run_out()

    assert consumer.provider.tried == 3


def test_resend_leaves_an_effect_to_an_operator_after_three_crashes(consumer: Consumer) -> None:
    for _ in range(3):
        consumer.crash(1)
        consumer.let_claims_run_out()

    assert kinds(consumer.attempt(1)) == [EffectHeld]
    assert consumer.attempt(1, generation=1) == [None]


@pytest.mark.parametrize("junk", ["a\0b", "\ud800", 7, {"id": 1}, object(), b"x"])
def test_a_reference_that_cannot_be_stored_stops_no_record(consumer: Consumer, junk: Any) -> None:
    def handler(event: Any, _: str) -> Any:
        return junk if event.data.email == address(2) else "fine"

    once = Once(consumer.stopping, WELCOME_EMAIL, handler, consumer.ledger)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.extend(once.results(consumer.attempts[1:5])), daemon=True)
    thread.start()
    thread.join(PATIENCE)

    assert [error_of(end) for _, end in results] == [None] * 4
    assert consumer.states() == ["done"] * 4


def test_a_message_from_before_an_operators_retry_gives_the_effect_no_further_attempt(consumer: Consumer) -> None:
    consumer.provider.trouble[""] = TransientError("later")
    consumer.attempt(1, uncertain="hold", generation=1)
    consumer.provider.trouble[""] = UncertainError("no answer")
    assert kinds(consumer.attempt(1, uncertain="hold", generation=0)) == [UncertainError]
    consumer.provider.trouble.clear()

    assert kinds(consumer.attempt(1, uncertain="hold", generation=1)) == [EffectHeld]


@pytest.mark.parametrize("how", ["it runs out", "it ends without an answer"])
def test_a_claim_that_ends_just_before_the_look_is_not_held_under_resend(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    other = consumer.claim_of(1)
    consumer.ledger.claim([other])
    ends: dict[str, Callable[[], object]] = {
        "it runs out": consumer.let_claims_run_out,
        "it ends without an answer": lambda: consumer.ledger.record([Ending(other, "uncertain")]),
    }
    look = consumer.ledger.look

    def look_late(*arguments: Any) -> Any:
        ends[how]()
        return look(*arguments)

    monkeypatch.setattr(consumer.ledger, "look", look_late)

    assert kinds(consumer.attempt(1)) == [RetryLater]


def test_a_stopping_worker_does_not_wait_for_a_locked_ledger(consumer: Consumer) -> None:
    attempting = threading.Thread(target=consumer.attempt, args=(1,), daemon=True)
    with psycopg.connect(consumer.url) as connection:
        connection.execute("LOCK TABLE effects")
        attempting.start()
        attempting.join(0.5)
        consumer.stopping.set()
        attempting.join(PATIENCE)

        assert not attempting.is_alive()
