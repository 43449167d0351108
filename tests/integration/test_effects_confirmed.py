"""What an operator has confirmed is done for the effect ledger, whatever it knew: no attempt causes it again."""

from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest

from contracts import EFFECT_LEDGER, EffectConfirmed, Event
from messaging import UncertainError
from messaging.consuming.subscriber import as_group
from messaging.effects import Uncertain
from messaging.wire.message import Attempt

from .effect_world import Consumer, address, kinds


@pytest.fixture
def consumer(effects_database: str) -> Iterator[Consumer]:
    consumer = Consumer(effects_database)
    yield consumer
    consumer.ledger.close()


def confirmed(consumer: Consumer, *numbers: int) -> list[EffectConfirmed]:
    return [
        EffectConfirmed(event_id=consumer.event_id(number), subscription="welcome_email", confirmed_by="ada")
        for number in numbers
    ]


def held(consumer: Consumer, number: int) -> None:
    """Let an attempt end without an answer, under `hold`."""
    consumer.provider.trouble[address(number)] = UncertainError("no answer")
    consumer.attempt(number, uncertain="hold")
    consumer.provider.trouble.clear()
    assert consumer.states() == ["uncertain"]


def never(consumer: Consumer, number: int) -> None:
    """Let the ledger know nothing of the effect: it was restored from a backup."""


def died(consumer: Consumer, number: int) -> None:
    """Let a worker claim the effect and die, and its claim run out."""
    consumer.crash(number)
    consumer.let_claims_run_out()


def released(consumer: Consumer, number: int) -> None:
    """Let an attempt end without the effect."""
    consumer.crash(number)
    consumer.rows("UPDATE effects SET state = 'released'")


def done(consumer: Consumer, number: int) -> None:
    """Let the effect be done."""
    consumer.attempt(number)
    consumer.provider.tried = 0


@pytest.mark.parametrize("before", [held, never, died, released, done])
@pytest.mark.parametrize("policy", ["hold", "resend"])
def test_a_confirmed_effect_is_never_caused_again(
    consumer: Consumer, before: Callable[[Consumer, int], None], policy: Uncertain
) -> None:
    before(consumer, 1)
    consumer.provider.tried = 0

    consumer.ledger.confirm(confirmed(consumer, 1))

    assert consumer.states() == ["done"]
    for generation in (0, 1, 7):
        assert consumer.attempt(1, uncertain=policy, generation=generation) == [None]
    assert consumer.provider.tried == 0


def test_others_are_caused_all_the_same(consumer: Consumer) -> None:
    consumer.ledger.confirm(confirmed(consumer, 1, 2, 2))

    assert consumer.attempt(1, 2, 3) == [None] * 3
    assert consumer.provider.done == [address(3)]


def test_a_decision_may_come_twice_and_changes_nothing_more(consumer: Consumer) -> None:
    consumer.attempt(1)
    held_row = consumer.rows("SELECT * FROM effects")
    for _ in range(2):
        consumer.ledger.confirm(confirmed(consumer, 1))
    assert consumer.rows("SELECT * FROM effects") == held_row

    consumer.ledger.confirm(confirmed(consumer, 2))
    rows = consumer.rows("SELECT * FROM effects")
    consumer.ledger.confirm(confirmed(consumer, 1, 2))
    assert consumer.rows("SELECT * FROM effects") == rows


def test_the_evidence_stays(consumer: Consumer) -> None:
    held(consumer, 1)
    consumer.ledger.confirm(confirmed(consumer, 1))
    [(evidence, is_dated)] = consumer.rows("SELECT evidence, done_at IS NOT NULL FROM effects")
    assert (evidence, is_dated) == ("UncertainError: no answer", True)


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [(None, type(None)), (UncertainError("no answer"), UncertainError), (ValueError("a bug"), ValueError)],
    ids=["returns", "uncertain", "unknown"],
)
def test_an_attempt_that_is_under_way_meanwhile_leaves_it_done(
    consumer: Consumer, trouble: BaseException | None, expected: type
) -> None:
    consumer.provider.meanwhile[address(1)] = lambda: consumer.ledger.confirm(confirmed(consumer, 1))
    if trouble:
        consumer.provider.trouble[address(1)] = trouble

    assert kinds(consumer.attempt(1, uncertain="hold")) == [expected]

    assert consumer.states() == ["done"]
    consumer.provider.tried = 0
    assert consumer.attempt(1, generation=9) == [None]
    assert consumer.provider.tried == 0


def test_a_ledger_that_is_locked_makes_the_decision_wait_for_another_attempt(consumer: Consumer) -> None:
    [data] = confirmed(consumer, 1)
    event = Event.about(data, source="users-api", subject="deliveries/1", correlation_id="1")
    attempt = Attempt(event, EFFECT_LEDGER.name, 1, 0)

    def handler(events: Sequence[Event[EffectConfirmed]]) -> None:
        consumer.ledger.confirm([each.data for each in events])

    with psycopg.connect(consumer.url) as locking:
        locking.execute("LOCK effects")
        [(_, error)] = as_group(handler, [attempt], consumer.stopping)
        assert isinstance(error, psycopg.errors.LockNotAvailable)
    [(_, error)] = as_group(handler, [attempt], consumer.stopping)
    assert error is None
    assert consumer.states() == ["done"]
