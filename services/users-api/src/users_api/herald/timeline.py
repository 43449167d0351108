"""What the rows of deliveries say happened, in order of time."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from messaging.publishing import confirming
from messaging.publishing.states import DUE, IN_FLIGHT


class Step(NamedTuple):
    """One thing that happened, or that is due. `what`: the effect that it is about."""

    time: datetime
    what: str
    happened: str
    details: str = ""


def steps(rows: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Return what happened to deliveries, each with its `history`. What happened first comes first."""
    return sorted((step for row in rows for step in _steps(row)), key=lambda step: step.time)


def attempts(rows: Iterable[Mapping[str, Any]]) -> list[tuple[object, ...]]:
    """Return cells for each attempt in the history of deliveries: whose, which, when it began and ended, and how."""
    return [
        (
            row["subscription"],
            _which(attempt),
            *(attempt[name] for name in ("started_at", "ended_at", "outcome", "error")),
        )
        for row in rows
        for attempt in map(_with_times, row["history"])
    ]


def _steps(row: Mapping[str, Any]) -> Iterator[Step]:
    what, state, words = row["subscription"], row["state"], confirming.outcome(row) or ""
    history = [_with_times(attempt) for attempt in row["history"]]
    last = history[-1] if history else {"queued_at": None, "started_at": None, "error": None}
    yield Step(row["created_at"], what, "recorded", f"event {row['event_id']} {row['event_type']}")
    if row["history_omitted"]:
        yield Step(row["created_at"], what, "tried", omitted(row))
    for attempt in history:
        yield from _steps_of(attempt, what)
        if attempt["ended_at"] != row["finished_at"]:
            yield Step(attempt["ended_at"], what, attempt["outcome"], attempt["error"] or "")
    if row["queued_at"] and row["queued_at"] != last["queued_at"]:
        untold = state in IN_FLIGHT and row["last_error"] and row["last_error"] != last["error"]
        yield Step(row["queued_at"], what, "queued", f"again, after: {row['last_error']}" if untold else "")
    if row["started_at"] and row["started_at"] != last["started_at"]:
        yield Step(row["started_at"], what, "started", _attempts(row))
    if row["finished_at"]:
        yield Step(row["finished_at"], what, state, words)
    if state in DUE and row["due_at"]:
        yield Step(row["due_at"], what, f"{state}: due", "" if words == last["error"] else words)


def _steps_of(attempt: Mapping[str, Any], what: str) -> Iterator[Step]:
    """Return how an attempt began that didn't succeed."""
    if attempt["queued_at"]:
        yield Step(attempt["queued_at"], what, "queued")
    if attempt["started_at"]:
        yield Step(attempt["started_at"], what, "started", f"attempt {_which(attempt)}")


def _which(attempt: Mapping[str, Any]) -> str:
    """Return which attempt it was. They are counted anew when an operator has retried or replayed the delivery."""
    by_hand = attempt["generation"]
    return f"{attempt['number']} after {by_hand}x by hand" if by_hand else str(attempt["number"])


def _with_times(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attempt as a row has it, but with times: JSON has none."""
    times = {name: attempt[name] for name in ("queued_at", "started_at", "ended_at")}
    return {**attempt, **{name: time and datetime.fromisoformat(time) for name, time in times.items()}}


def omitted(row: Mapping[str, Any]) -> str:
    """Say how many attempts of a delivery its history leaves out."""
    return f"{row['history_omitted']:,} attempts before the last ten, of which only the number is known"


def _attempts(row: Mapping[str, Any]) -> str:
    crashes = f", {row['crashes']} of them crashed" if row["crashes"] else ""
    return f"attempt {row['attempts']}{crashes}"
