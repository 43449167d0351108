"""The kit's ledger in memory answers as the real one does: the same random steps on it and on PostgreSQL."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import user_registered

from contracts import EffectConfirmed
from messaging.effects import Ledger
from messaging.effects.claims import Claim, Ending
from messaging.effects.ledger import MAX_DOUBTS, SLACK
from messaging.errors import MessagingError, RetryLater
from messaging.testing import MemoryLedger

LIMIT = 60.0
LEASE = LIMIT + SLACK


@pytest.fixture
def real(effects_database: str) -> Iterator[Ledger]:
    ledger = Ledger(effects_database, limit=LIMIT, uncertain="resend")
    yield ledger
    ledger.close()


@pytest.fixture
def connection(effects_database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(effects_database, autocommit=True) as connection:
        yield connection


class Both:
    """Takes each step on both ledgers and compares what they answer and what they hold then."""

    def __init__(self, real: Ledger, connection: psycopg.Connection[Any]) -> None:
        self.real, self.memory = real, MemoryLedger(limit=LIMIT)
        self.connection = connection
        self.events = [user_registered(number).id for number in range(2)]
        self.claims: list[Claim] = []
        self.rows("DELETE FROM effects")

    def step(self, name: str, arguments: Any) -> None:
        getattr(self, name)(*arguments)
        assert self.memory_rows() == self.real_rows(), name

    def claim(self, numbers: Sequence[int], generation: int) -> None:
        claims = [Claim(self.events[number], "welcome_email", generation) for number in numbers]
        self.claims += claims
        self.same(lambda ledger: ledger.claim(claims))

    def claim_again(self, index: int) -> None:
        claims = self.picked([index])
        self.same(lambda ledger: ledger.claim(claims))

    def renew(self, indexes: Sequence[int]) -> None:
        self.same(lambda ledger: ledger.renew(self.picked(indexes)))

    def look(self, numbers: Sequence[int]) -> None:
        claims = [Claim(self.events[number], "welcome_email", 0) for number in numbers]
        real, memory = (ledger.look(claims) for ledger in (self.real, self.memory))
        assert {event: told(reason) for event, reason in real.items()} == {
            event: told(reason) for event, reason in memory.items()
        }

    def record(self, endings: Sequence[tuple[int, Any]]) -> None:
        recorded = [
            Ending(claim, how, f"reference {index}" if how == "done" else None, f"evidence {index}")
            for index, how in dict(endings).items()
            for claim in self.picked([index])
        ]
        self.same(lambda ledger: ledger.record(recorded))

    def confirm(self, numbers: Sequence[int]) -> None:
        effects = [
            EffectConfirmed(event_id=self.events[number], subscription="welcome_email", confirmed_by="ada")
            for number in numbers
        ]
        self.same(lambda ledger: ledger.confirm(effects))
        for event_id, claim in self.rows("SELECT event_id, claim FROM effects"):
            self.memory.effects[event_id, "welcome_email"].claim = claim  # of an effect without a row: random

    def wait(self, seconds: float) -> None:
        self.memory.pass_time(seconds)
        self.rows(f"UPDATE effects SET claimed_until = claimed_until - interval '{seconds} s'")

    def choose(self, uncertain: Any) -> None:
        self.real.uncertain = self.memory.uncertain = uncertain

    def same(self, step: Callable[[Ledger], object]) -> None:
        assert step(self.memory) == step(self.real)

    def picked(self, indexes: Sequence[int]) -> list[Claim]:
        """Return claims made before, counted from the newest."""
        return [self.claims[-1 - index] for index in indexes if index < len(self.claims)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []

    def real_rows(self) -> set[tuple[Any, ...]]:
        return set(self.rows("SELECT event_id, state, claim, generation, doubts, reference, evidence FROM effects"))

    def memory_rows(self) -> set[tuple[Any, ...]]:
        return {
            (event_id, row.state, row.claim, row.generation, row.doubts, row.reference, row.evidence)
            for (event_id, _), row in self.memory.effects.items()
        }


def told(reason: MessagingError | str | None) -> tuple[str, str, int]:
    after = reason.after if isinstance(reason, RetryLater) else 0.0
    return type(reason).__name__, str(reason), round(after / 20)  # what a machine under load takes doesn't count


numbers = st.lists(st.integers(0, 1), min_size=1, max_size=2, unique=True)
indexes = st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True)
endings = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["done", "uncertain", "released"])), min_size=1, max_size=2
)
steps = st.one_of(
    st.tuples(st.just("claim"), st.tuples(numbers, st.integers(0, 2))),
    st.tuples(st.just("claim_again"), st.tuples(st.integers(0, 3))),
    st.tuples(st.just("renew"), st.tuples(indexes)),
    st.tuples(st.just("look"), st.tuples(numbers)),
    st.tuples(st.just("record"), st.tuples(endings)),
    st.tuples(st.just("confirm"), st.tuples(numbers)),
    st.tuples(st.just("wait"), st.tuples(st.sampled_from([25.0, LEASE + 10]))),
    st.tuples(st.just("choose"), st.tuples(st.sampled_from(["resend", "hold"]))),
)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(steps, min_size=5, max_size=25))
def test_random_steps_have_the_same_results(
    real: Ledger, connection: psycopg.Connection[Any], taken: list[tuple[str, Any]]
) -> None:
    both = Both(real, connection)
    both.choose("resend")
    for name, arguments in taken:
        both.step(name, arguments)


def test_doubts_end_a_resend_alike_and_an_operator_begins_anew(
    real: Ledger, connection: psycopg.Connection[Any]
) -> None:
    both = Both(real, connection)
    for _ in range(MAX_DOUBTS + 1):
        both.step("claim", ([0], 0))
        both.step("record", ([(0, "uncertain")],))
    both.step("look", ([0],))
    assert {row[4] for row in both.memory_rows()} == {MAX_DOUBTS}

    both.step("claim", ([0], 1))
    assert {row[1] for row in both.memory_rows()} == {"claimed"}
