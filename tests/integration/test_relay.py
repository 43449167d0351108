"""The relay's loops: woken at once, patient with errors, and never given up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import redis
from tests.integration.conftest import QUICK_SUBSCRIPTIONS, RelayParts
from tests.patience import PATIENCE, until

from contracts import AUDIT_LOG, Event, EventData
from devstack.redis_server import RedisServer
from messaging.consuming.receipt_writer import report
from messaging.relay.dispatch import ROOM, Dispatcher
from messaging.relay.listener import Listener
from messaging.relay.presence import Presence
from messaging.relay.receipt_reader import ReceiptReader
from messaging.relay.relay import STOP_SECONDS, _dispatch_forever, _forever
from messaging.wire.client import connect
from messaging.wire.receipt import Receipt
from users_api import PUBLISHER

from .workers import RECEIPTS, run_relay

Publish = Callable[..., list[Event[EventData]]]

QUIET = Presence(connect("redis://127.0.0.1:1"), PUBLISHER, "test")
"""It is asked for no sign of life."""


class Clock(threading.Event):
    """A `stop` that nobody waits for: it notes for how long it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


def repeat(*outcomes: Exception | None) -> Clock:
    """Let a loop's step end in these ways, one after the other, and then stop it."""
    stop, left = Clock(), list(outcomes)

    def step() -> None:
        outcome = left.pop(0)
        if not left:
            stop.set()
        if outcome:
            raise outcome

    _forever(step, stop, QUIET)
    return stop


def test_while_a_server_is_away_a_loop_tries_again_ever_more_rarely() -> None:
    away = [redis.ConnectionError("away"), psycopg.OperationalError("away")] * 4

    stop = repeat(*away, None, redis.TimeoutError("again"))

    assert stop.waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 0.1])


def test_a_bug_stops_no_loop() -> None:
    assert repeat(ValueError("a bug"), None).waits == [2.0]


@contextmanager
def dispatching(relay: RelayParts, users_database: str) -> Iterator[None]:
    """Let the dispatch loop run, which looks by itself only once a minute, until it has nothing to do."""
    idle, stop = threading.Event(), threading.Event()

    class Observed(Dispatcher):
        def next_due(self) -> float | None:
            due = super().next_due()
            idle.set()
            return due

    ear = Listener(users_database)
    dispatcher = Observed(ear, relay.redis, QUICK_SUBSCRIPTIONS, PUBLISHER)
    loop = threading.Thread(target=_dispatch_forever, args=(ear, dispatcher, stop, QUIET))
    loop.start()
    try:
        assert idle.wait(PATIENCE)
        yield
    finally:
        stop.set()
        relay.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s", listener(relay))
        loop.join()


def listener(relay: RelayParts) -> int | None:
    """Return the process of PostgreSQL that the dispatch loop listens at."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
    with relay.pool.connection() as connection:
        row = connection.execute(query, ["herald-dispatch"]).fetchone()
    return row[0] if row else None


@pytest.fixture
def _once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.relay.relay.IDLE_SECONDS", 60.0)


@pytest.mark.usefixtures("_once_a_minute")
def test_an_idle_relay_is_woken_by_what_is_published(
    relay: RelayParts, publish_users: Publish, users_database: str
) -> None:
    with dispatching(relay, users_database):
        [event] = publish_users(1)

        until(lambda: relay.row(event.id)["state"] == "queued")


@pytest.mark.usefixtures("_once_a_minute")
def test_an_idle_relay_wakes_by_itself_when_a_delivery_becomes_due(
    relay: RelayParts, publish_users: Publish, users_database: str
) -> None:
    [event] = publish_users(1, available_at=datetime.now(UTC) + timedelta(seconds=1))
    with dispatching(relay, users_database):
        until(lambda: relay.row(event.id)["state"] == "queued")


@pytest.mark.usefixtures("_once_a_minute")
def test_a_relay_that_lost_its_ear_listens_again(
    relay: RelayParts, publish_users: Publish, users_database: str
) -> None:
    with dispatching(relay, users_database):
        deaf = listener(relay)
        relay.execute("SELECT pg_terminate_backend(%s)", deaf)

        until(lambda: listener(relay) not in {None, deaf})
        [event] = publish_users(1)
        until(lambda: relay.row(event.id)["state"] == "queued")


def test_a_relay_takes_over_what_a_dead_one_had_read_and_forgets_it_when_it_is_done(
    relay: RelayParts,
    publish_users: Publish,
    users_database: str,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("messaging.relay.relay.IDLE_SECONDS", 0.2)
    monkeypatch.setattr("messaging.relay.relay.RECONCILE_SECONDS", 0.2)
    monkeypatch.setattr("messaging.relay.relay.TAKE_OVER_SECONDS", 0.2)
    read, unread = publish_users(2)
    relay.dispatcher.dispatch()
    dead = ReceiptReader(relay.redis, "dead", PUBLISHER)
    dead.read(wait=0.001)
    report(relay.redis, PUBLISHER, [Receipt(read.id, "audit_log", 1, "succeeded")])
    dead.read(wait=1)  # ... and here it dies
    report(relay.redis, PUBLISHER, [Receipt(unread.id, "audit_log", 1, "succeeded")])
    stop = threading.Event()
    loop = threading.Thread(target=run_relay, args=(users_database, redis_server.url, QUICK_SUBSCRIPTIONS, stop))
    loop.start()
    try:
        for event in (read, unread):
            until(lambda: relay.row(event.id)["state"] == "succeeded")  # noqa: B023  # called at once
        until(lambda: relay.redis.xlen(RECEIPTS) == 0)
    finally:
        stop.set()
        loop.join()


@pytest.mark.usefixtures("_once_a_minute")
@pytest.mark.parametrize("after", [0.01, 0.5])
def test_an_idle_relay_enqueues_a_retry_when_its_time_has_come(
    relay: RelayParts, publish_users: Publish, users_database: str, after: float
) -> None:
    """The relay itself has written when that is; nothing else would wake its dispatcher."""
    [event] = publish_users(1)
    relay.dispatcher.dispatch()
    with dispatching(relay, users_database):
        relay.tell(event.id, "retry", after=after)

        until(lambda: relay.row(event.id)["dispatch"] == 2)
        assert relay.row(event.id)["state"] == "queued"


@pytest.mark.usefixtures("_once_a_minute")
def test_a_queue_that_was_full_gets_more_soon_after_it_has_room(
    relay: RelayParts, publish_users: Publish, users_database: str
) -> None:
    """Nothing notifies the relay of room."""
    relay.redis.rpush("dramatiq:auditor", *["another program's"] * (ROOM // AUDIT_LOG.group_size))
    [event] = publish_users(1)
    with dispatching(relay, users_database):
        assert relay.row(event.id)["state"] == "pending"
        relay.redis.delete("dramatiq:auditor")

        until(lambda: relay.row(event.id)["state"] == "queued")


@pytest.mark.usefixtures("_once_a_minute")
def test_an_idle_relay_that_is_told_to_stop_stops_at_once(
    relay: RelayParts, users_database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, stop = threading.Event(), threading.Event()

    class Observed(Listener):
        def wait(self, seconds: float, stop: threading.Event) -> bool:
            idle.set()
            return super().wait(seconds, stop)

    monkeypatch.setattr("messaging.relay.relay.Listener", Observed)
    loop = threading.Thread(target=run_relay, args=(users_database, redis_server.url, QUICK_SUBSCRIPTIONS, stop))
    loop.start()
    try:
        assert idle.wait(PATIENCE)
        until(lambda: relay.redis.info("clients")["blocked_clients"] == 1)
    finally:
        began = time.monotonic()
        stop.set()
        loop.join(PATIENCE)

    assert not loop.is_alive()
    assert time.monotonic() - began < STOP_SECONDS, "no loop was left behind"


def test_a_relay_stops_though_postgresql_answers_nobody(
    users_database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, and TCP goes on, so nothing else would ever end the wait for an answer."""
    answer, stop = threading.Event(), threading.Event()
    monkeypatch.setattr("messaging.relay.relay._wake", lambda _: answer.wait())
    monkeypatch.setattr("messaging.relay.relay.STOP_SECONDS", 0.5)
    loop = threading.Thread(target=run_relay, args=(users_database, redis_server.url, QUICK_SUBSCRIPTIONS, stop))
    loop.start()
    try:
        stop.set()
        loop.join(PATIENCE)

        assert not loop.is_alive()
    finally:
        answer.set()
        loop.join(PATIENCE)
