"""A receipt, and how receipts are written into the stream.

An entry is a JSON list. What needs no word of its own (started, succeeded) is told for many deliveries at once:
`{"subscription", "outcome", "event_ids", "dispatches"}`; anything else for one, as a receipt's own fields. A relay that
knows only the second form drops the first, and leases have to run out instead: upgrade relays before workers.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args
from uuid import UUID

from messaging.errors import MAX_AFTER

Outcome = Literal["started", "handed_back", "retry", "failed", "uncertain", "succeeded"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""By weight: where one dispatch has several, as when a message came twice, the last of these is what counts."""

MAX_ERROR = 500
MAX_DISPATCH = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery's news. `dispatch` is the fencing token: which enqueueing of the delivery this is about.

    `after`: seconds until the next attempt, where the handler knows better than the retry policy; up to 30 days.
    Whatever isn't so is a ValueError, so that one bad receipt never spoils the statement that applies many.
    """

    event_id: UUID
    subscription: str
    dispatch: int
    outcome: Outcome
    error: str | None = None
    after: float | None = None

    def __post_init__(self) -> None:
        """Refuse what PostgreSQL would refuse."""
        if self.outcome not in OUTCOMES or type(self.dispatch) is not int or not 0 <= self.dispatch <= MAX_DISPATCH:
            raise ValueError(f"not a receipt: outcome {self.outcome!r}, dispatch {self.dispatch!r}")
        if self.after is not None:
            if type(self.after) not in (int, float) or not 0 <= self.after <= MAX_AFTER:
                raise ValueError(f"not a receipt: after {self.after!r}")
            object.__setattr__(self, "after", float(self.after))  # psycopg takes no list of both
        if not storable(self.subscription) or not (self.error is None or storable(self.error)):
            raise ValueError("not a receipt: text that PostgreSQL can't store")


def storable(text: object) -> bool:
    """Tell whether something is text that PostgreSQL can store; names of subscriptions always are, at a glance."""
    if not isinstance(text, str):
        return False
    return (text.isascii() and text.isidentifier() and len(text) <= MAX_ERROR) or clean(text) == text


def clean(text: str) -> str:
    """Return text as PostgreSQL can store it, of at most 500 characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:MAX_ERROR]


def describe(error: BaseException) -> str:
    """Tell an error so that PostgreSQL can store it, in at most 500 characters."""
    return clean(f"{type(error).__name__}: {error}")


def encode(receipts: Sequence[Receipt]) -> str:
    """Write receipts as one entry of the stream."""
    alone = [receipt for receipt in receipts if receipt.error is not None or receipt.after is not None]
    together = [receipt for receipt in receipts if receipt.error is None and receipt.after is None]
    return json.dumps([*_told_together(together), *map(_told_alone, alone)])


def _told_alone(receipt: Receipt) -> dict[str, object]:
    return {**asdict(receipt), "event_id": str(receipt.event_id)}


def _told_together(receipts: Iterable[Receipt]) -> Iterator[dict[str, object]]:
    """Tell those that differ in nothing but their delivery: a tenth of the bytes and of the time."""
    alike: dict[tuple[str, str], list[Receipt]] = {}
    for receipt in receipts:
        alike.setdefault((receipt.subscription, receipt.outcome), []).append(receipt)
    for (subscription, outcome), group in alike.items():
        ids, dispatches = [str(each.event_id) for each in group], [each.dispatch for each in group]
        yield {"subscription": subscription, "outcome": outcome, "event_ids": ids, "dispatches": dispatches}


def decode(entry: bytes) -> Iterator[Receipt | None]:
    """Read an entry of the stream. None stands for what isn't a receipt: it is dropped, as if it had got lost."""
    try:
        news = json.loads(entry)
    except (ValueError, RecursionError):
        news = None
    for told in news if isinstance(news, list) else [None]:
        if isinstance(told, dict):
            yield from _read_together(told) if "event_ids" in told else [_read_alone(told)]
        else:
            yield None


def _read_together(told: dict[str, Any]) -> Iterator[Receipt | None]:
    subscription, outcome = told.get("subscription"), told.get("outcome")
    ids, dispatches = told["event_ids"], told.get("dispatches")
    if not isinstance(ids, list) or not isinstance(dispatches, list) or len(ids) != len(dispatches):
        yield None
        return
    for event_id, dispatch in zip(ids, dispatches, strict=True):
        yield _read_alone(
            {"event_id": event_id, "subscription": subscription, "dispatch": dispatch, "outcome": outcome}
        )


def _read_alone(told: dict[str, Any]) -> Receipt | None:
    try:
        return Receipt(**{**told, "event_id": UUID(str(told["event_id"]))})
    except (KeyError, TypeError, ValueError):
        return None
