"""What a delivery did, from when until when: the attempts that are known, and what was between them.

Attempts that didn't succeed are in the history, the last ten of them; the delivery itself knows when it was last queued
and when its last attempt began. What was before the first known attempt is one stretch. Attempts that a relay of an
older version made are in no history.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from messaging.publishing.attempts import AttemptOutcome
from messaging.publishing.states import DUE
from users_api.console.chain_reading import ChainDelivery
from users_api.console.words import precisely
from users_api.schemas import Attempt

Kind = Literal["request", "wait", "earlier", "queued", "running", "error", "crashed", "stopped", "undecided", "ahead"]

ATTEMPTS: tuple[Kind, ...] = ("running", "error", "crashed")
"""Those in which an attempt is made: drawn even if its receipt gave it no length."""

MEANINGS: dict[Kind, str] = {
    "request": "the request, until its event was committed",
    "wait": "waits until it is due",
    "earlier": "earlier attempts and the waits between them",
    "queued": "in the queue",
    "running": "the handler works, until its receipt is applied",
    "error": "an attempt without success, until its receipt was applied",
    "crashed": "an attempt whose worker died or whose message got lost, until a relay found that",
    "stopped": "over, until an operator wanted it again",
    "undecided": "no answer, until a person confirmed the effect or its success was reported late",
    "ahead": "until the next attempt is due",
}

_KINDS: Mapping[AttemptOutcome, Kind] = {"crashed": "crashed", "lost": "crashed"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in the life of a delivery. `attempt`: the one that it was, if that is in the history."""

    kind: Kind
    start: datetime
    end: datetime
    attempt: Attempt | None = None

    @property
    def says(self) -> str:
        """What it is, and how long it took."""
        took = precisely(max(0.0, (self.end - self.start).total_seconds()))
        if self.attempt is None:
            return f"{MEANINGS[self.kind]}: {took}"
        error = f": {self.attempt.error}" if self.attempt.error else ""
        lasted = f", {took}" if self.attempt.started_at else ""
        return f"attempt {self.attempt.number}, {self.attempt.outcome}{lasted}{error}"


def stretches(delivery: ChainDelivery, now: datetime) -> Iterator[Stretch]:
    """Return what the delivery did, in order. Some may be empty."""
    since, gap = delivery.created_at, _first_gap(delivery)
    generation = 0
    for attempt in delivery.history:
        if attempt.generation > generation and since > delivery.created_at:
            gap = "stopped"
        generation = attempt.generation
        started = attempt.started_at or attempt.ended_at
        queued = min(attempt.queued_at or started, started)
        yield Stretch(gap, since, queued)
        yield Stretch("queued", queued, started)
        yield Stretch(_KINDS.get(attempt.outcome, "error"), started, attempt.ended_at, attempt)
        since, gap = attempt.ended_at, "wait"
    if delivery.history and delivery.generation > generation:
        gap = "stopped"
    yield from _since(delivery, since, gap, now)


def _first_gap(delivery: ChainDelivery) -> Kind:
    """Return what was before the first attempt that is known."""
    first = delivery.history[0] if delivery.history else None
    number, generation = (first.number, first.generation) if first else (delivery.attempts, delivery.generation)
    waited = number <= 1 and not generation and not delivery.history_omitted
    return "wait" if waited else "earlier"


def _since(delivery: ChainDelivery, since: datetime, gap: Kind, now: datetime) -> Iterator[Stretch]:
    """Return what the delivery did since its history ended."""
    queued, started = _own(delivery)
    until = delivery.finished_at or delivery.due_at or now
    if delivery.state in DUE or delivery.state == "cancelled":
        if started is not None:
            yield Stretch("earlier", since, started)
            since, gap = started, "ahead"
        elif delivery.state == "retrying" and delivery.history and gap != "stopped":
            gap = "ahead"
        if gap != "wait":
            yield Stretch(gap, since, until)
            since = until
        yield Stretch("wait", since, max(until, delivery.finished_at or now))
    elif queued is not None:
        yield Stretch(gap, since, queued)
        yield Stretch("queued", queued, started or until)
        if started is not None:
            yield Stretch("undecided" if delivery.confirmed_by else "running", started, until)
    else:
        yield Stretch("undecided" if delivery.history else "wait", since, until)


def _own(delivery: ChainDelivery) -> tuple[datetime | None, datetime | None]:
    """Return when the delivery was queued and when its attempt began, if that was after its history."""
    queued, started = delivery.queued_at, delivery.started_at
    last = delivery.history[-1] if delivery.history else None
    if last is not None and queued == last.queued_at:
        return None, None  # it has succeeded late, or has only waited
    in_queue = started is None or (last is not None and started == last.started_at)
    if in_queue or (delivery.state not in DUE and queued is not None and started is not None and started < queued):
        return queued, None
    return queued, started
