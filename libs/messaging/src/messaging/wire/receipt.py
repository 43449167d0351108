"""A receipt, and the format in which receipts are written into the stream.

An entry is a JSON list of two kinds of object. Receipts without an error, a delay or a reference (`started`, and most
that succeeded) are grouped: `{"subscription", "outcome", "event_ids", "dispatches"}`. Any other receipt is an object
with its own fields. A relay drops what it doesn't know, and then leases have to run out: upgrade relays before workers.

When a handler began is a monotonic time of this process in a receipt, and in an entry how long before the entry was
sent that was (`ms_ago`, in milliseconds). No process reads another's clock.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args
from uuid import UUID

from messaging.errors import MAX_AFTER

Outcome = Literal["started", "handed_back", "retry", "failed", "uncertain", "succeeded", "resend"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""In ascending weight. If one dispatch has several receipts, because a message came twice, the heaviest counts.
`resend` isn't the outcome of an attempt. An operator decided so afterwards: cause the uncertain effect again."""

MAX_ERROR = 500
MAX_DISPATCH = 2**31 - 1

MAX_MS_AGO = 86_400_000
"""A day: no handler works for longer."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a consumer reports about one delivery. `dispatch` is the fencing token: the enqueueing that it is about.

    `after`: seconds until the next attempt, if the handler chose them instead of the retry policy; at most MAX_AFTER.
    `reference`: what the provider calls the effect. `began`: when the handler was called, by this process's monotonic
    clock; None if that is unknown (an older worker doesn't report it) or no handler was called.

    Raises:
        ValueError: PostgreSQL would refuse a value. One bad receipt would spoil the statement that applies many.
    """

    event_id: UUID
    subscription: str
    dispatch: int
    outcome: Outcome
    error: str | None = None
    after: float | None = None
    reference: str | None = None
    began: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Refuse values that PostgreSQL would refuse."""
        if self.outcome not in OUTCOMES or type(self.dispatch) is not int or not 0 <= self.dispatch <= MAX_DISPATCH:
            raise ValueError(f"not a receipt: outcome {self.outcome!r}, dispatch {self.dispatch!r}")
        if self.after is not None:
            if type(self.after) not in (int, float) or not 0 <= self.after <= MAX_AFTER:
                raise ValueError(f"not a receipt: after {self.after!r}")
            object.__setattr__(self, "after", float(self.after))  # psycopg takes no list of both
        optional = [text for text in (self.error, self.reference) if text is not None]
        if not all(map(storable, (self.subscription, *optional))):
            raise ValueError("not a receipt: text that PostgreSQL can't store")


def storable(text: object) -> bool:
    """Return whether PostgreSQL can store `text`. The cheap test comes first, and names of subscriptions pass it."""
    if not isinstance(text, str):
        return False
    return (text.isascii() and text.isidentifier() and len(text) <= MAX_ERROR) or clean(text) == text


def clean(text: str) -> str:
    """Return `text` as PostgreSQL can store it, cut to MAX_ERROR characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:MAX_ERROR]


def describe(error: BaseException) -> str:
    """Return an error's type and message as PostgreSQL can store them, cut to MAX_ERROR characters."""
    return clean(f"{type(error).__name__}: {error}")


def encode(receipts: Sequence[Receipt]) -> str:
    """Return receipts as one entry of the stream."""
    now = time.monotonic()
    single = [_fields(receipt, now) for receipt in receipts if not _is_plain(receipt)]
    groupable = [receipt for receipt in receipts if _is_plain(receipt)]
    return json.dumps([*_grouped(groupable, now), *single])


def _is_plain(receipt: Receipt) -> bool:
    return receipt.error is None and receipt.after is None and receipt.reference is None


def _fields(receipt: Receipt, now: float) -> dict[str, object]:
    fields = {name: value for name, value in asdict(receipt).items() if value is not None}
    if fields.pop("began", None) is not None:
        fields["ms_ago"] = _ms_ago(receipt, now)
    return {**fields, "event_id": str(receipt.event_id)}


def _ms_ago(receipt: Receipt, now: float) -> int | None:
    return None if receipt.began is None else int(1000 * (now - receipt.began))


def _grouped(receipts: Iterable[Receipt], now: float) -> Iterator[dict[str, object]]:
    """Group receipts that differ only in event and dispatch: this takes a tenth of the bytes and of the time."""
    groups: dict[tuple[str, str], list[Receipt]] = {}
    for receipt in receipts:
        groups.setdefault((receipt.subscription, receipt.outcome), []).append(receipt)
    for (subscription, outcome), group in groups.items():
        ids, dispatches = [str(receipt.event_id) for receipt in group], [receipt.dispatch for receipt in group]
        ago = [_ms_ago(receipt, now) for receipt in group]
        plain = {"subscription": subscription, "outcome": outcome, "event_ids": ids, "dispatches": dispatches}
        yield plain | (
            {"ms_ago": ago[0] if len(set(ago)) == 1 else ago} if any(began is not None for began in ago) else {}
        )


def decode(entry: bytes, sent: float | None = None) -> Iterator[Receipt | None]:
    """Read an entry of the stream. Yield None for anything that isn't a receipt: the relay drops it.

    `sent`: when the entry was sent, by this process's monotonic clock; now, if None.
    """
    sent = time.monotonic() if sent is None else sent
    try:
        items = json.loads(entry)
    except (ValueError, RecursionError):
        items = None
    for item in items if isinstance(items, list) else [None]:
        if isinstance(item, dict):
            yield from _read_group(item, sent) if "event_ids" in item else [_read_fields(item, sent)]
        else:
            yield None


def _read_group(item: dict[str, Any], sent: float) -> Iterator[Receipt | None]:
    subscription, outcome = item.get("subscription"), item.get("outcome")
    ids, dispatches = item["event_ids"], item.get("dispatches")
    if not isinstance(ids, list) or not isinstance(dispatches, list) or len(ids) != len(dispatches):
        yield None
        return
    ago = item.get("ms_ago")
    agos = ago if isinstance(ago, list) and len(ago) == len(ids) else [ago] * len(ids)
    for event_id, dispatch, ms_ago in zip(ids, dispatches, agos, strict=True):
        began = _began(ms_ago, sent)
        try:
            receipt = Receipt(UUID(str(event_id)), subscription, dispatch, outcome, began=began)  # type: ignore[arg-type]  # Receipt refuses what isn't a text
        except (TypeError, ValueError):
            yield None
        else:
            yield receipt


def _read_fields(item: dict[str, Any], sent: float) -> Receipt | None:
    began = _began(item.pop("ms_ago", None), sent)
    try:
        return Receipt(**{**item, "event_id": UUID(str(item["event_id"])), "began": began})
    except (KeyError, TypeError, ValueError):
        return None


def _began(ms_ago: object, sent: float) -> float | None:
    """Return when a handler began; None, if the entry doesn't say so, or says what can't be."""
    if type(ms_ago) is not int or not 0 <= ms_ago <= MAX_MS_AGO:
        return None
    return sent - ms_ago / 1000
