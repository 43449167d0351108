"""The stream of receipts: what is written, read, taken over, dropped and forgotten."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import redis

from contracts import Event, EventData
from messaging.consuming.receipt_writer import report
from messaging.relay.receipt_reader import ReceiptReader
from messaging.wire.receipt import Receipt
from users_api import PUBLISHER

from .workers import RECEIPTS, full

Publish = Callable[..., list[Event[EventData]]]


def test_the_stream_hands_each_receipt_to_one_relay_and_forgets_it_when_done(redis_client: redis.Redis) -> None:
    ours = Receipt(UUID(int=1), "audit_log", 1, "retry", "busy", 2.5)
    one, other = ReceiptReader(redis_client, "one", PUBLISHER), ReceiptReader(redis_client, "other", PUBLISHER)
    one.read(wait=0.001)  # makes the group
    report(redis_client, PUBLISHER, [ours])

    entry_ids, receipts = one.read(wait=1)
    assert receipts == [ours]
    assert other.read(wait=0.001) == ([], [])

    one.done(entry_ids)
    assert redis_client.xlen(RECEIPTS) == 0


def test_receipts_that_a_dead_relay_had_read_are_taken_over(redis_client: redis.Redis) -> None:
    dead, heir = ReceiptReader(redis_client, "dead", PUBLISHER), ReceiptReader(redis_client, "heir", PUBLISHER)
    dead.read(wait=0.001)
    ours = Receipt(UUID(int=1), "audit_log", 1, "succeeded")
    report(redis_client, PUBLISHER, [ours])
    dead.read(wait=1)

    assert heir.take_over(idle=0) != ([], [])


def test_an_entry_that_is_no_receipt_is_dropped(redis_client: redis.Redis) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    redis_client.xadd(RECEIPTS, {"receipts": "not json"})
    redis_client.xadd(RECEIPTS, {"something": "else"})

    entry_ids, receipts = reader.read(wait=1)

    assert (len(entry_ids), receipts) == (2, [])


@pytest.mark.parametrize(
    "bad",
    [
        {"outcome": "exploded"},
        {"after": float("inf")},
        {"after": -1},
        {"dispatch": 2**40},
        {"error": "a\x00b"},
        {"error": "\ud800"},
        {"error": {"a": 1}},
        {"subscription": 7},
        {"dispatch": 1.5},
        {"event_id": 7},
        {"more": 1},
    ],
)
def test_a_bad_receipt_spoils_none_of_its_neighbours(redis_client: redis.Redis, bad: dict[str, object]) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    good = {"event_id": str(UUID(int=1)), "subscription": "audit_log", "dispatch": 1, "outcome": "succeeded"}
    redis_client.xadd(RECEIPTS, {"receipts": json.dumps([good | bad, good])})

    _, receipts = reader.read(wait=1)

    assert receipts == [Receipt(UUID(int=1), "audit_log", 1, "succeeded")]


def entries(client: Any) -> list[Any]:
    """Read the stream as it is."""
    return [json.loads(fields[b"receipts"]) for _, fields in client.xrange(RECEIPTS)]


def test_what_has_no_word_of_its_own_is_told_together_and_read_as_if_alone(redis_client: redis.Redis) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    ids = [UUID(int=number) for number in range(1, 5)]
    ours = [
        Receipt(ids[0], "audit_log", 1, "succeeded"),
        Receipt(ids[1], "audit_log", 2, "retry", "busy", 2.5),
        Receipt(ids[2], "audit_log", 3, "succeeded"),
        Receipt(ids[3], "welcome_email", 4, "started"),
    ]
    report(redis_client, PUBLISHER, ours)

    [told] = entries(redis_client)
    assert [len(each.get("event_ids", [1])) for each in told] == [2, 1, 1]
    _, receipts = reader.read(wait=1)
    assert sorted(receipts, key=lambda each: each.event_id) == ours


@pytest.mark.parametrize(
    "bad",
    [
        {"outcome": "exploded"},
        {"event_ids": 7},
        {"event_ids": [7, str(UUID(int=1)), "no id"]},
        {"dispatches": ["1", 2**40, None]},
        {"dispatches": None},
        {"subscription": "a\x00b"},
    ],
)
def test_a_bad_group_of_receipts_spoils_nothing_else(redis_client: redis.Redis, bad: dict[str, object]) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    ids = [str(UUID(int=number)) for number in range(1, 4)]
    good = {"subscription": "audit_log", "outcome": "succeeded", "event_ids": ids, "dispatches": [1, 2, 3]}
    redis_client.xadd(RECEIPTS, {"receipts": json.dumps([good | bad, 7, good])})

    _, receipts = reader.read(wait=1)

    assert receipts[-3:] == [Receipt(UUID(each), "audit_log", n, "succeeded") for n, each in enumerate(ids, 1)]


def test_what_is_good_of_a_bad_group_counts(redis_client: redis.Redis) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    ids = ["no id", str(UUID(int=2)), str(UUID(int=3))]
    group = {"subscription": "audit_log", "outcome": "succeeded", "event_ids": ids, "dispatches": [1, 2, None]}
    redis_client.xadd(RECEIPTS, {"receipts": json.dumps([group])})

    assert reader.read(wait=1)[1] == [Receipt(UUID(int=2), "audit_log", 2, "succeeded")]


@pytest.mark.parametrize("entry", ["7", "null", '{"event_ids": []}', '"text"'])
def test_an_entry_that_is_no_list_is_dropped(redis_client: redis.Redis, entry: str) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    redis_client.xadd(RECEIPTS, {"receipts": entry})

    assert reader.read(wait=1)[1] == []


def test_reading_goes_on_after_redis_was_wiped(redis_client: redis.Redis) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    redis_client.flushall()
    ours = Receipt(UUID(int=1), "audit_log", 1, "succeeded")
    report(redis_client, PUBLISHER, [ours])

    found = [receipt for _ in range(2) for receipt in reader.read(wait=0.1)[1]]

    assert found == [ours]


def test_receipts_that_a_live_relay_has_just_read_are_not_taken_from_it(redis_client: redis.Redis) -> None:
    alive, other = ReceiptReader(redis_client, "alive", PUBLISHER), ReceiptReader(redis_client, "other", PUBLISHER)
    alive.read(wait=0.001)
    report(redis_client, PUBLISHER, [Receipt(UUID(int=1), "audit_log", 1, "succeeded")])
    alive.read(wait=1)

    assert other.take_over(idle=60) == ([], [])


def test_what_is_done_is_nobodys_any_more(redis_client: redis.Redis) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    report(redis_client, PUBLISHER, [Receipt(UUID(int=1), "audit_log", 1, "succeeded")])
    entry_ids, _ = reader.read(wait=1)

    reader.done(entry_ids)

    assert redis_client.xpending(RECEIPTS, "relay")["pending"] == 0


def test_a_full_redis_lets_go_of_receipts(redis_client: redis.Redis) -> None:
    reader = ReceiptReader(redis_client, "one", PUBLISHER)
    reader.read(wait=0.001)
    report(redis_client, PUBLISHER, [Receipt(UUID(int=1), "audit_log", 1, "succeeded")])
    with full(redis_client):
        entry_ids, _ = reader.read(wait=1)
        reader.done(entry_ids)

    assert redis_client.xlen(RECEIPTS) == 0


def test_receipts_that_no_relay_reads_do_not_fill_redis(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.consuming.receipt_writer.MAX_UNREAD", 100)

    for _ in range(500):
        report(redis_client, PUBLISHER, [Receipt(UUID(int=1), "audit_log", 1, "succeeded")])

    assert redis_client.xlen(RECEIPTS) <= 200, "Redis trims whole nodes, of a hundred entries"


def test_on_a_new_redis_several_relays_may_start_at_once(redis_client: redis.Redis) -> None:
    first, second = ReceiptReader(redis_client, "first", PUBLISHER), ReceiptReader(redis_client, "second", PUBLISHER)

    assert first.take_over(idle=0) == ([], []), "there is nothing yet to take over"
    for reader in (first, second):
        reader._create_group()  # both have found that there is none
    report(redis_client, PUBLISHER, [Receipt(UUID(int=1), "audit_log", 1, "succeeded")])

    assert second.read(wait=1)[1] == [Receipt(UUID(int=1), "audit_log", 1, "succeeded")]
