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
    """Return what happened to deliveries. Of several attempts a delivery has the times of the last one."""
    return sorted((step for row in rows for step in _steps(row)), key=lambda step: step.time)


def _steps(row: Mapping[str, Any]) -> Iterator[Step]:
    what, state, words = row["subscription"], row["state"], confirming.outcome(row) or ""
    yield Step(row["created_at"], what, "recorded", f"event {row['event_id']} {row['event_type']}")
    if row["queued_at"]:
        again = f"again, after: {row['last_error']}" if state in IN_FLIGHT and row["last_error"] else ""
        yield Step(row["queued_at"], what, "queued", again)
    if row["started_at"]:
        yield Step(row["started_at"], what, "started", _attempts(row))
    if row["finished_at"]:
        yield Step(row["finished_at"], what, state, words)
    if state in DUE and row["due_at"]:
        yield Step(row["due_at"], what, f"{state}: due", words)


def _attempts(row: Mapping[str, Any]) -> str:
    crashes = f", {row['crashes']} of them crashed" if row["crashes"] else ""
    return f"attempt {row['attempts']}{crashes}"
