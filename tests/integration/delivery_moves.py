"""Which moves of a delivery each kind of step may cause, and which it must: docs/deliveries.md as assertions.

A `Cause` is told what a step of test_delivery_model.py did, and judges what became of each delivery in that step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from messaging.publishing.states import DUE, FINAL, IN_FLIGHT, UNFINISHED
from messaging.wire.receipt import Outcome, Receipt

from .delivery_world import Key, Row, policy


class Cause(Protocol):
    """What a step did."""

    def judge(self, before: Row, after: Row) -> None:
        """Fail unless this is what becomes of a delivery."""


class Nothing:
    """Nobody spoke to PostgreSQL."""

    def judge(self, before: Row, after: Row) -> None:
        assert after == before, "it moved, and nobody said so"


@dataclass(frozen=True)
class Claimed:
    """A relay took what was due. `given_back`: and made it due again, because Redis didn't take it."""

    now: datetime
    given_back: bool = False

    def judge(self, before: Row, after: Row) -> None:
        if after == before:
            return
        assert before.state in DUE, "only what is due can be claimed"
        assert before.due_at is not None
        assert before.due_at <= self.now, "it was claimed too early"
        assert after.counts == (before.attempts, before.crashes, before.dispatch + 1, before.generation)
        assert recorded(before, after) is None
        assert after.state == (_waiting(after) if self.given_back else "queued")


@dataclass(frozen=True)
class Released:
    """A relay gave back what it had once claimed, by event, subscription and dispatch."""

    claimed: set[tuple[UUID, str, int]]

    def judge(self, before: Row, after: Row) -> None:
        if before.state == "queued" and (*before.key, before.dispatch) in self.claimed:
            assert after.counts == before.counts
            assert after.state == _waiting(after)
            assert recorded(before, after) is None
        else:
            assert after == before, "it was another relay's by then"


@dataclass(frozen=True)
class Told:
    """A relay applied receipts."""

    receipts: Sequence[Receipt]

    def judge(self, before: Row, after: Row) -> None:
        news = [each for each in self.receipts if (each.event_id, each.subscription) == before.key]
        current = {each.outcome for each in news if each.dispatch == before.dispatch}
        if before.state in (*UNFINISHED, "cancelled", "uncertain") and any(
            each.outcome == "succeeded" for each in news
        ):
            self._succeeded(before, after, current)
        elif before.state in IN_FLIGHT and current - {"started"}:
            [outcome] = current - {"started"}
            self._ended(before, after, outcome)
        elif before.state == "queued" and current:
            assert after.state == "running"
            assert recorded(before, after) is None
            assert after.counts == (before.attempts + 1, before.crashes, before.dispatch, before.generation)
        else:
            assert after == before, "news about an older dispatch, or about a finished delivery, moves nothing"

    def _succeeded(self, before: Row, after: Row, current: set[Outcome]) -> None:
        """Whichever dispatch it was, the effect is there. Only the current one's own end may come first."""
        ends = current & set(FINAL) if before.state in IN_FLIGHT else set()
        assert after.state in {"succeeded", *ends}
        assert 1 <= after.attempts <= max(1, before.attempts + (before.state == "queued"))
        assert after.counts[1:] == before.counts[1:]
        own_end = after.state if after.state != "succeeded" else None
        assert recorded(before, after) == (own_end and (after.attempts, own_end))

    def _ended(self, before: Row, after: Row, outcome: Outcome) -> None:
        begun_anew = -(before.state == "running") if outcome == "handed_back" else before.state == "queued"
        assert after.counts == (before.attempts + begun_anew, before.crashes, before.dispatch, before.generation)
        dead = after.attempts >= policy(after).max_attempts
        expected = {"handed_back": _waiting(after), "retry": "failed" if dead else "retrying"}.get(outcome, outcome)
        assert after.state == expected, f"it was {before.state}, and its worker said {outcome}"
        assert recorded(before, after) == (None if outcome == "handed_back" else (after.attempts, outcome))


@dataclass(frozen=True)
class Looked:
    """A relay looked for what got lost.

    `stored`: which messages Redis held. `silent`: which of them in the hands of a worker whose heart didn't beat.
    `killed`: it didn't come to the end.
    """

    now: datetime
    wiped: bool
    stored: set[str]
    silent: set[str]
    killed: bool = False

    def judge(self, before: Row, after: Row) -> None:
        if before.state not in IN_FLIGHT:
            assert after == before, "there was nothing to look for"
        elif after.state in IN_FLIGHT:
            self._left(before, after)
        elif before.message_id in self.silent:
            self._crashed(before, after)
        else:
            assert before.message_id not in self.stored, "its message is there: it only waits"
            assert after.state == _waiting(after)
            heard_nothing = before.attempts - (before.state == "running")
            assert after.counts == (heard_nothing, before.crashes, before.dispatch, before.generation)
            assert recorded(before, after) == ((before.attempts, "lost") if before.state == "running" else None)

    def _left(self, before: Row, after: Row) -> None:
        assert after == replace(before, lease_until=after.lease_until)
        if self.killed:
            return
        assert before.lease_until is not None
        assert after.lease_until is not None
        expired = self.wiped or before.lease_until <= self.now
        assert not expired or before.message_id in self.stored, "it was lost, and not found"
        assert after.lease_until > self.now, "the next look comes too soon"

    def _crashed(self, before: Row, after: Row) -> None:
        begun = before.state == "running"
        assert after.counts == (before.attempts, before.crashes + begun, before.dispatch, before.generation)
        used_up = after.crashes >= policy(after).max_crashes or after.attempts >= policy(after).max_attempts
        assert after.state == (("failed" if used_up else "retrying") if begun else _waiting(after))
        assert recorded(before, after) == ((after.attempts, "crashed") if begun else None)


@dataclass(frozen=True)
class Asked:
    """An operator asked for these deliveries again, where they ended in one of these states."""

    states: tuple[str, ...]
    chosen: Callable[[Row], bool]

    def judge(self, before: Row, after: Row) -> None:
        if before.state in self.states and self.chosen(before):
            assert (after.state, *after.counts) == ("pending", 0, 0, before.dispatch, before.generation + 1)
            assert recorded(before, after) is None
        else:
            assert after == before


@dataclass(frozen=True)
class Cancelled:
    """An operator cancelled a delivery, if it was still waiting."""

    key: Key

    def judge(self, before: Row, after: Row) -> None:
        if before.key == self.key and before.state in DUE:
            assert (after.state, after.counts) == ("cancelled", before.counts)
            assert recorded(before, after) is None
        else:
            assert after == before, "what has left PostgreSQL can't be called back"


@dataclass(frozen=True)
class Confirmed:
    """An operator confirmed a delivery, if it was uncertain."""

    key: Key

    def judge(self, before: Row, after: Row) -> None:
        if before.key == self.key and before.state == "uncertain":
            assert (after.state, after.counts, after.last_error) == ("succeeded", before.counts, None)
            assert recorded(before, after) is None
        else:
            assert after == before, "only what is uncertain can be confirmed"


class Crossed:
    """While one relay looked, another did everything that it does, and time passed."""

    def judge(self, before: Row, after: Row) -> None:
        assert after.generation == before.generation
        if after.dispatch > before.dispatch:
            assert after.state == "queued", "it was enqueued a moment ago, and its message is there"


def recorded(before: Row, after: Row) -> tuple[int, str] | None:
    """Return the number and outcome of the attempt that a step has recorded; None, if it has recorded none."""
    if after.history == before.history:
        return None
    [ordinal, generation, number, outcome] = after.history[-1]
    assert ordinal == 1 + (before.history[-1][0] if before.history else 0), "one step records one attempt"
    assert generation == after.generation
    assert after.history[:-1] == before.history[-9:], "it forgets the eleventh, and no other"
    return number, outcome


def _waiting(row: Row) -> str:
    return "retrying" if row.attempts else "pending"
