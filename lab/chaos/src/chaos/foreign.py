"""Messages and receipts that no relay and no worker of ours has written, of every kind that we could think of.

Most differ from ours in one thing. If nothing else is wrong, the event is complete: a worker that takes such a
message for ours causes an effect for a user who doesn't exist, and the ledger shows it.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from contracts import EventData, Subscription
from messaging.wire.message import Item, encode
from users_api import PUBLISHER
from users_api.registration import Registration, _event
from users_api.schemas import NewUser

ABSENT = object()
"""The value of a field that is left out."""

ID = f"{PUBLISHER}/foreign.id"
"""Stands for the message's id, which is new each time."""

DEEP = 100_000
NAN, INFINITY, HUGE = float("nan"), float("inf"), 10**30
SCALARS: tuple[Any, ...] = (None, True, 7, "x", NAN)
NO_TEXT: tuple[Any, ...] = (None, True, 7, NAN, [], {})
UNSTORABLE = ("nul\x00", "surrogate\ud800")
"""Text that PostgreSQL refuses."""

NOBODY = "01900000-0000-7000-8000-000000000000"
"""The id of an event that doesn't exist."""

_NO_BATCH: tuple[Any, ...] = (*([PUBLISHER, each] for each in (*SCALARS, {})), ["elsewhere", []], ["", []], [None, []])

_FIELDS: dict[str, tuple[Any, ...]] = {
    "queue_name": (ABSENT, "", "elsewhere", "elsewhere.DQ", *SCALARS, [], {}, *UNSTORABLE),
    "actor_name": (ABSENT, *NO_TEXT, ["x"], *UNSTORABLE),
    "message_id": (ABSENT, "", "another", *SCALARS, [], {}, *UNSTORABLE),
    "kwargs": (ABSENT, *SCALARS, [], {"batch": []}, {"x": 1}),
    "options": (ABSENT, *SCALARS, []),
    "args": (ABSENT, *SCALARS, {}, [], [{}], *([each] for each in SCALARS), [[], []], [[]], *_NO_BATCH),
    "more": (1,),
}
"""Values that the fields of a message never have."""

_OPTIONS: dict[str, tuple[Any, ...]] = {
    "redis_message_id": (ABSENT, "", "another", *SCALARS, [], {}, *UNSTORABLE),
    "eta": (2**53, HUGE, INFINITY, 1, -1, *SCALARS, [], {}),
    "time_limit": (1, -1, HUGE, INFINITY, *SCALARS, [], {}),
    "retries": (3,),
    "pipe_target": ({}, "x"),
    "broker": ("x",),
}

_ITEMS: dict[str, tuple[Any, ...]] = {
    "dispatch": (ABSENT, None, True, "1", "x", 1.5, NAN, INFINITY, -1, 2**31, 2**40, HUGE, [], {}),
    "generation": (ABSENT, None, True, "1", "x", 1.5, NAN, INFINITY, [], {}),
    "event": (ABSENT, *SCALARS, [], {}, *({"id": each} for each in (*SCALARS, "", HUGE, [], {}, NOBODY[:-1]))),
}

_NOT_TEXT = (ABSENT, *NO_TEXT, *UNSTORABLE)
_NO_NUMBER: tuple[Any, ...] = (None, True, "1", 1.5, NAN, INFINITY, -1, 2**31, 2**40, HUGE, [], {})

_ALONE: dict[str, tuple[Any, ...]] = {
    "event_id": (ABSENT, *SCALARS, HUGE, [], {}, NOBODY[:-1]),
    "subscription": _NOT_TEXT,
    "dispatch": (ABSENT, *_NO_NUMBER),
    "outcome": (*_NOT_TEXT, "unknown"),
    "error": (7, NAN, [], {}, *UNSTORABLE, "x" * 100_000),
    "after": ("x", -1, NAN, INFINITY, HUGE, [], {}),
    "more": (1,),
}
_TOGETHER: dict[str, tuple[Any, ...]] = {
    "event_ids": (*SCALARS, {}, *([each] for each in (*SCALARS, HUGE, [], {}, NOBODY[:-1]))),
    "dispatches": (ABSENT, *SCALARS, {}, [], *([each] for each in _NO_NUMBER)),
    "subscription": _NOT_TEXT,
    "outcome": (*_NOT_TEXT, "unknown"),
}

_NESTED = (b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"receipts":[' * DEEP)
_RAW = (
    *_NESTED,
    *(b"", b" ", b"x", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}", '{"queue_name": "x"}'.encode("utf-16"), b'"\xff"'),
    *(b"null", b"true", b"7", b'"x"', b"NaN", b"-Infinity", b"1e400", b"9" * 10_000, b"{}", b"[[]]", b"[{}]"),
    *(b'{"args"', b'{"args":[[{', b"\x80\x04]\x94.", b'["\\ud800"]', b'"' + b"x" * 2**20 + b'"', b"[" + b"7," * 2**19),
)
"""What isn't even JSON, or JSON of another shape."""


def messages(subscription: Subscription[EventData]) -> Iterator[bytes]:
    """Make messages for the subscription's queue, of each kind one. `ID` stands for the id."""
    yield from (*_RAW, b"[]")
    ours = json.loads(encode(ID, subscription, [_item()]))
    item = ours["args"][1][0]
    for changed in [*_changed(ours, _FIELDS), *_options(ours), *_items(ours, item)]:
        yield json.dumps(changed).encode()
    whole = json.dumps(ours).encode()
    yield from (
        whole[:-1],
        whole + b"x",
        whole.replace(f'["{PUBLISHER}", ['.encode(), f'["{PUBLISHER}", ['.encode() + b"[" * DEEP),
        whole + b" " + whole,
    )


def idle_messages(subscription: Subscription[EventData]) -> Iterator[bytes]:
    """Make messages that are ours, for an actor that no worker has: another version of Herald may have written them."""
    ours = encode(ID, subscription, [_item()])
    for name in ("", "x", "unknown"):
        yield ours.replace(f'"actor_name": "{subscription.name}"'.encode(), f'"actor_name": "{name}"'.encode())


def receipts(subscription: str) -> Iterator[dict[bytes, bytes]]:
    """Make entries for the stream that hold no receipt, of each kind one."""
    for field in (b"x", b"", b"receipt", b"\xff"):
        yield {field: b"[]"}
    alone, together = _receipts(subscription)
    changed = [*_changed(alone, _ALONE), *_changed(together, _TOGETHER)]
    shapes: list[Any] = [*SCALARS, {}, *([each] for each in (*SCALARS, [], {})), *([each] for each in changed)]
    for receipt in [*(json.dumps(shape).encode() for shape in shapes), *_RAW]:
        yield {b"receipts": receipt}


def idle_receipts(subscription: str) -> Iterator[dict[bytes, bytes]]:
    """Make entries for the stream that are well-formed, and about nothing that there is."""
    alone, together = _receipts(subscription)
    for receipt in (
        [],
        [alone] * 3,
        [together] * 3,
        [{**alone, "subscription": "unknown"}],
        [{**together, "event_ids": []}],
    ):
        yield {b"receipts": json.dumps(receipt).encode(), b"x": b"y"}


def _receipts(subscription: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a receipt in each of its two forms."""
    alone = {"event_id": NOBODY, "subscription": subscription, "dispatch": 1, "outcome": "retry"}
    return alone, {"subscription": subscription, "outcome": "started", "event_ids": [NOBODY], "dispatches": [1]}


def _item() -> Item:
    new = NewUser(email="foreign@example.com", full_name="Foreign")
    return Item(1, 0, _event(Registration(new, "foreign")).model_dump_json())


def _changed(whole: dict[str, Any], values: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Change one field after another to each of its values."""
    for field, others in values.items():
        for value in others:
            yield {name: each for name, each in {**whole, field: value}.items() if each is not ABSENT}


def _options(ours: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return ({**ours, "options": options} for options in _changed(ours["options"], _OPTIONS))


def _items(ours: dict[str, Any], item: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return ({**ours, "args": [PUBLISHER, [each]]} for each in _changed(item, _ITEMS))
