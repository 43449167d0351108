"""What other programs write into our queues and our stream is dropped, counted and logged, and stops nothing."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from structlog.testing import capture_logs
from tests.patience import until

from contracts import AUDIT_LOG, Event, EventData
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, RetryLater
from messaging.consuming.receipt_writer import report
from messaging.relay.receive import Receiver
from messaging.wire import layout
from messaging.wire.message import NotOursError, read
from messaging.wire.receipt import Receipt, decode
from messaging.wire.script import members
from messaging.wire.waits import Waits
from users_api import PUBLISHER

from .conftest import RelayParts
from .workers import RECEIPTS, Consume, readers, states

Publish = Callable[..., list[Event[EventData]]]

DEEP = b"[" * 100_000
FAR = 4_102_444_800_000
ID = f"{PUBLISHER}/x"
OURS: dict[str, Any] = {
    "queue_name": "auditor",
    "actor_name": "audit_log",
    "args": [PUBLISHER, []],
    "kwargs": {},
    "options": {"redis_message_id": ID},
    "message_id": ID,
    "message_timestamp": 1,
}
CHANGES: list[dict[str, Any]] = [
    {"queue_name": "elsewhere"},
    {"queue_name": None},
    {"queue_name": ["auditor"]},
    {"actor_name": None},
    {"actor_name": ["audit_log"]},
    {"actor_name": "audit_log\x00"},
    {"actor_name": "\ud800"},
    {"actor_name": "x" * 1_000},
    {"args": None},
    {"args": []},
    {"args": ["text"]},
    {"args": [{}]},
    {"args": [[], []]},
    {"args": [[]]},
    {"args": [PUBLISHER]},
    {"args": [PUBLISHER, {}]},
    {"args": [PUBLISHER, [], []]},
    {"args": ["another", []]},
    {"args": [None, []]},
    {"kwargs": None},
    {"kwargs": {"batch": []}},
    {"options": None},
    {"options": []},
    {"options": {}},
    {"options": {"redis_message_id": "another"}},
    {"options": {"redis_message_id": ID, "eta": FAR}},
    {"options": {"redis_message_id": ID, "eta": "soon"}},
    {"options": {"redis_message_id": ID, "pipe_target": {}}},
    {"options": {"redis_message_id": ID, "time_limit": "long"}},
    {"message_id": None},
    {"message_id": 7},
    {"message_id": "another"},
    {"more": 1},
]
FAR_AWAY = {"options": {"redis_message_id": ID, "eta": FAR}}
BYTES = [b"", b"null", b"7", b'"text"', b"[]", b"{}", b"\xff\xfe", b"\x00", DEEP, b'{"args":' + DEEP, b"9" * 10_000]
FOREIGN = [*BYTES, *(json.dumps(OURS | change).encode() for change in CHANGES)]


def put(client: redis.Redis, data: bytes, message_id: str | bytes = ID, queue: str = "auditor") -> None:
    client.hset(layout.messages_key(queue), message_id, data)
    client.rpush(layout.queue_key(queue), message_id)


def test_what_a_relay_has_made_is_read(relay: RelayParts, queued: UUID) -> None:
    [(message_id, data)] = relay.redis.hgetall(layout.messages_key("auditor")).items()
    assert isinstance(message_id, bytes)
    assert isinstance(data, bytes)

    assert read("auditor", message_id, data).message_id == message_id.decode()
    assert read("auditor", ID.encode(), json.dumps(OURS).encode()).options == OURS["options"], (
        "the cases below start from it"
    )


@pytest.mark.parametrize("data", FOREIGN, ids=lambda data: repr(data[:80]))
def test_what_is_not_exactly_ours_is_not_read(data: bytes) -> None:
    with pytest.raises(NotOursError):
        read("auditor", ID.encode(), data)


def test_ours_under_an_id_that_is_no_text_is_not_read() -> None:
    with pytest.raises(NotOursError):
        read("auditor", b"\xff", json.dumps(OURS).encode())


def test_foreign_messages_end_no_thread_and_fill_no_worker(
    relay: RelayParts, publish_users: Publish, consume: Consume, redis_client: redis.Redis
) -> None:
    consume(AUDIT_LOG, lambda _: None)
    until(lambda: redis_client.exists(layout.WORKERS) == 1)
    publish_users(5)
    with capture_logs() as logged:
        for data in [*FOREIGN, *[json.dumps(OURS | FAR_AWAY).encode()] * 40]:
            put(redis_client, data, uuid4().hex if data not in BYTES else os.urandom(8))
        redis_client.rpush(layout.queue_key("auditor"), "without data", b"\xff")
        publish_users(5)

        until(lambda: states(relay) == {"succeeded": 10})
        until(lambda: not redis_client.exists(layout.queue_key("auditor"), layout.messages_key("auditor")))

    dropped = [each for each in logged if each["event"] == "message.dropped"]
    assert [each["dropped_so_far"] for each in dropped] == list(range(1, len(FOREIGN) + 41))
    assert {each["queue"] for each in dropped} == {"auditor"}
    assert redis_client.keys(f"{layout.UNACKED}*") == []


def test_an_id_that_is_in_a_queue_twice_is_taken_once(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    [message_id] = redis_client.lrange(layout.queue_key("auditor"), 0, -1)
    redis_client.rpush(layout.queue_key("auditor"), message_id)
    broker = HeraldBroker(redis_server.url)

    assert len(broker.inbox("auditor").take(10)) == 1
    broker.close()


RECEIPT = {"event_id": str(UUID(int=7)), "subscription": "audit_log", "dispatch": 1, "outcome": "succeeded"}
NO_RECEIPTS: list[bytes] = [
    DEEP,
    b"",
    b"null",
    b"7",
    b"{}",
    b"[7]",
    b"[[]]",
    b"[{}]",
    b'[{"event_ids": 7}]',
    b'[{"event_ids": {}, "dispatches": {}}]',
    *(
        json.dumps([RECEIPT | change]).encode()
        for change in (
            {"event_id": None},
            {"event_id": [1]},
            {"dispatch": 2**40},
            {"dispatch": -1},
            {"dispatch": "1"},
            {"dispatch": True},
            {"dispatch": float("inf")},
            {"outcome": "delighted"},
            {"outcome": ["succeeded"]},
            {"subscription": None},
            {"subscription": "\ud800"},
            {"subscription": "a\x00b"},
            {"error": 7},
            {"error": "\x00"},
            {"after": float("nan")},
            {"after": "soon"},
            {"after": True},
            {"more": 1},
            {"event_ids": [str(UUID(int=7))], "dispatches": []},
            {"event_ids": [[], {}], "dispatches": [1, 1]},
        )
    ),
]


@pytest.mark.parametrize("entry", NO_RECEIPTS, ids=lambda entry: repr(entry[:90]))
def test_what_is_no_receipt_counts_as_one_that_is_dropped(entry: bytes) -> None:
    found = list(decode(entry))

    assert found
    assert set(found) == {None}


def test_foreign_receipts_are_dropped_counted_and_never_met_again(relay: RelayParts, queued: UUID) -> None:
    for entry in NO_RECEIPTS:
        relay.redis.xadd(RECEIPTS, {"receipts": entry})
    relay.redis.xadd(RECEIPTS, {"other": "field"})
    ours = [{"event_id": str(queued), "subscription": "audit_log", "dispatch": 1, "outcome": "succeeded"}]
    relay.redis.xadd(RECEIPTS, {"receipts": json.dumps(ours)})

    with capture_logs() as logged:
        relay.reader.read(wait=0)
        entry_ids, receipts = relay.reader.read(wait=0)
    relay.applier.apply(receipts)
    relay.reader.done(entry_ids)

    assert relay.row(queued)["state"] == "succeeded"
    assert relay.redis.xlen(RECEIPTS) == 0
    [said] = [each for each in logged if each["event"] == "receipts.dropped"]
    assert said["count"] >= len(NO_RECEIPTS)


def test_delays_in_whole_and_broken_seconds_are_applied_together(relay: RelayParts, publish_users: Publish) -> None:
    events = publish_users(2)
    relay.dispatcher.dispatch()
    report(relay.redis, PUBLISHER, [_retry(events[0], RetryLater("busy", after=60).after), _retry(events[1], 2.5)])

    relay.reader.read(wait=0)
    _, receipts = relay.reader.read(wait=0)
    relay.applier.apply([*receipts, *decode(json.dumps([RECEIPT | {"outcome": "retry", "after": 5}]).encode())])  # type: ignore[list-item]  # it is one

    assert [relay.row(event.id)["state"] for event in events] == ["retrying", "retrying"]


def _retry(event: Event[EventData], after: float) -> Receipt:
    return Receipt(event.id, "audit_log", 1, "retry", "busy", after)


def test_a_receipt_that_postgresql_refuses_takes_no_other_along(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = publish_users(2)
    relay.dispatcher.dispatch()
    apply = relay.applier.apply

    def refuse(receipts: Iterable[Receipt]) -> None:
        if any(each.event_id == bad.id for each in receipts):
            raise psycopg.DataError("cannot dump this")
        apply(receipts)

    monkeypatch.setattr(relay.applier, "apply", refuse)
    waits = Waits(redis_server.url, timeout=5)
    receiver = Receiver(waits, *readers(waits, relay.redis), relay.applier, threading.Event())
    receiver.receive(wait=0.1)
    report(relay.redis, PUBLISHER, [Receipt(each.id, "audit_log", 1, "succeeded") for each in (bad, good)])

    receiver.receive(wait=5)

    assert (relay.row(good.id)["state"], relay.row(bad.id)["state"]) == ("succeeded", "queued")
    assert relay.redis.xlen(RECEIPTS) == 0
    waits.close()


@pytest.mark.parametrize("spoiled", ["place", "stream"])
def test_a_stream_that_was_moved_into_the_future_is_read_again(relay: RelayParts, queued: UUID, spoiled: str) -> None:
    relay.reader.read(wait=0)
    if spoiled == "place":
        relay.redis.xgroup_setid(RECEIPTS, "relay", "99999999999999-0")
    else:
        relay.redis.xadd(RECEIPTS, {"receipts": "[]"}, id=f"{2**64 - 1}-{2**64 - 1}")
        with pytest.raises(redis.ResponseError):
            report(relay.redis, PUBLISHER, [Receipt(queued, "audit_log", 1, "succeeded")])

    relay.sweeper.sweep()
    report(relay.redis, PUBLISHER, [Receipt(queued, "audit_log", 1, "succeeded")])

    relay.applier.apply([receipt for _ in range(3) for receipt in relay.reader.read(wait=0)[1]])
    assert relay.row(queued)["state"] == "succeeded"


WORKER = """
import dramatiq
from contracts import AUDIT_LOG
from messaging import HeraldBroker, subscribe
from messaging.process import logs
from messaging.wire import layout
from messaging.wire.client import connect
from messaging.wire.script import members

logs.configure("INFO", "json")
broker = HeraldBroker({url!r})
dramatiq.set_broker(broker)


class Fatal(dramatiq.Middleware):
    def before_ack(self, broker, message):
        raise SystemExit("like a time limit that strikes too late")


broker.add_middleware(Fatal())
subscribe(broker, AUDIT_LOG, lambda _: None)
"""


def test_a_process_that_has_lost_a_thread_ends_and_what_that_held_is_taken_back(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.relay.reconcile.SILENCE", 0.0)
    (tmp_path / "fatal_worker.py").write_text(WORKER.format(url=redis_server.url))
    command = [sys.executable, "-m", "dramatiq", "fatal_worker", "--processes", "1", "--threads", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": f"{tmp_path}"}, text=True
    )
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 1
    assert "worker.thread_died" in said
    worker = next(iter(members(relay.redis, layout.WORKERS))).rpartition("/")[0]
    until(lambda: not relay.redis.exists(layout.heartbeat_key(worker)))
    relay.reconciler.reconcile()
    assert relay.redis.hlen(layout.messages_key("auditor")) == 0
