"""What is over is forgotten; what isn't finished is never touched."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import redis
from psycopg import Connection
from psycopg.rows import TupleRow
from structlog.testing import capture_logs
from tests.integration.conftest import QUICK_SUBSCRIPTIONS, RelayParts

from contracts import Event, EventData
from devstack.ports import free_port
from devstack.redis_server import RedisServer
from messaging.consuming.receipt_writer import report
from messaging.process.database import Pool, open_pool
from messaging.publishing import operations
from messaging.relay import Retention, housekeep
from messaging.relay.housekeep import START, Housekeeper
from messaging.relay.receipt_reader import GROUP, ReceiptReader
from messaging.wire.client import connect
from messaging.wire.receipts import Receipt
from users_api import PUBLISHER
from users_api.retention import FORGET_KEYS

from .workers import RECEIPTS, run_relay, until

Publish = Callable[..., list[Event[EventData]]]
Old = Callable[[int], list[UUID]]

MONTH = Retention(timedelta(days=30), {"idempotency_keys": FORGET_KEYS})
MONTH_AGO = "now() - interval '30 days'"


@pytest.fixture
def impatient_pool(users_database: str) -> Iterator[Pool]:
    """Connections to which waiting for a lock is an error."""
    with open_pool(f"{users_database}?options=-clock_timeout%3D5s", size=2, name="test") as pool:
        yield pool


@pytest.fixture
def housekeeper(impatient_pool: Pool, relay: RelayParts) -> Housekeeper:
    return Housekeeper(impatient_pool, relay.redis, MONTH, threading.Event(), PUBLISHER)


@pytest.fixture
def old(relay: RelayParts, publish_users: Publish) -> Old:
    """Publish events that were over 31 days ago: `old(3)`."""

    def publish_old(number: int) -> list[UUID]:
        ids = [event.id for event in publish_users(number)]
        relay.execute(
            "UPDATE events SET recorded_at = recorded_at - interval '31 days',"
            " available_at = available_at - interval '31 days' WHERE id = ANY (%s)",
            ids,
        )
        relay.execute(
            "UPDATE deliveries SET state = 'succeeded', due_at = NULL, lease_until = NULL,"
            " finished_at = now() - interval '31 days' WHERE event_id = ANY (%s)",
            ids,
        )
        return ids

    return publish_old


def column(relay: RelayParts, query: str, *values: object) -> list[object]:
    with relay.pool.connection() as connection:
        return [value for (value,) in connection.execute(query.encode(), values)]


def events(relay: RelayParts) -> set[object]:
    return set(column(relay, "SELECT id FROM events"))


def deliveries(relay: RelayParts) -> int:
    return len(column(relay, "SELECT state FROM deliveries"))


# Events


def test_what_is_over_goes_with_its_deliveries(relay: RelayParts, housekeeper: Housekeeper, old: Old) -> None:
    old(3)

    housekeeper.tidy()

    assert (events(relay), deliveries(relay)) == (set(), 0)


@pytest.mark.parametrize("state", ["pending", "queued", "running", "retrying", "failed", "uncertain"])
def test_one_unfinished_delivery_keeps_its_event_whole_however_old(
    relay: RelayParts, housekeeper: Housekeeper, old: Old, state: str
) -> None:
    kept, _ = old(2)
    relay.execute(
        f"UPDATE deliveries SET state = '{state}',"
        f" due_at = CASE WHEN '{state}' IN ('pending', 'retrying') THEN {MONTH_AGO} END,"
        f" lease_until = CASE WHEN '{state}' IN ('queued', 'running') THEN {MONTH_AGO} END"
        " WHERE event_id = %s AND subscription = 'welcome_email'",
        kept,
    )

    housekeeper.tidy()

    assert (events(relay), deliveries(relay)) == ({kept}, 2)


@pytest.mark.parametrize(
    "happened",
    [
        "UPDATE events SET recorded_at = {}",
        "UPDATE events SET available_at = {}",
        "UPDATE deliveries SET finished_at = {} WHERE subscription = 'audit_log'",
    ],
)
def test_whatever_happened_must_be_longer_ago_than_the_retention(
    relay: RelayParts, housekeeper: Housekeeper, old: Old, happened: str
) -> None:
    old(1)

    relay.execute(happened.format("now() - interval '30 days' + interval '1 min'"))
    housekeeper.tidy()
    assert (len(events(relay)), deliveries(relay)) == (1, 2)

    relay.execute(happened.format("now() - interval '30 days' - interval '1 min'"))
    housekeeper.tidy()
    assert (len(events(relay)), deliveries(relay)) == (0, 0)


def test_the_retention_is_the_operators(relay: RelayParts, impatient_pool: Pool, publish_users: Publish) -> None:
    publish_users(1)
    relay.execute("UPDATE events SET recorded_at = now() - interval '61 min', available_at = now() - interval '61 min'")
    relay.execute("UPDATE deliveries SET state = 'succeeded', due_at = NULL, finished_at = now() - interval '61 min'")

    for hours in (2, 1):
        assert len(events(relay)) == 1
        retention = Retention(timedelta(hours=hours))
        Housekeeper(impatient_pool, relay.redis, retention, threading.Event(), PUBLISHER).tidy()

    assert events(relay) == set()


def test_nothing_that_is_new_goes(relay: RelayParts, housekeeper: Housekeeper, publish_users: Publish) -> None:
    """Not even what is finished, nor what nobody subscribed to."""
    publish_users(2)
    relay.execute("UPDATE deliveries SET state = 'succeeded', due_at = NULL, finished_at = now()")
    relay.execute("DELETE FROM deliveries WHERE event_id = (SELECT id FROM events LIMIT 1)")

    housekeeper.tidy()

    assert (len(events(relay)), deliveries(relay)) == (2, 2)


@pytest.mark.parametrize(("available", "stays"), [("- interval '1 day'", False), ("+ interval '40 days'", True)])
def test_an_event_that_nobody_wants_goes_when_it_is_old_and_was_available(
    relay: RelayParts, housekeeper: Housekeeper, old: Old, available: str, stays: bool
) -> None:
    old(1)
    relay.execute("DELETE FROM deliveries")
    relay.execute(f"UPDATE events SET available_at = {MONTH_AGO} {available}")

    housekeeper.tidy()

    assert len(events(relay)) == int(stays)


@pytest.mark.parametrize("number", [5, 6])
def test_one_round_takes_as_many_statements_as_it_needs(
    relay: RelayParts, housekeeper: Housekeeper, old: Old, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Events of one transaction have the same time, and none is left out between two pages."""
    monkeypatch.setattr(housekeep, "LIMIT", 3)
    unfinished = old(number)[0]
    old(number)
    relay.execute("UPDATE deliveries SET state = 'failed' WHERE event_id = %s", unfinished)

    housekeeper.tidy()

    assert events(relay) == {unfinished}


def test_many_that_stay_are_looked_at_a_few_at_a_time_and_hide_nothing_behind_them(
    relay: RelayParts, housekeeper: Housekeeper, old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeep, "LIMIT", 2)
    monkeypatch.setattr(housekeep, "MAX_KEPT", 4)
    dead = set(old(5))
    relay.execute("UPDATE deliveries SET state = 'failed'")
    relay.execute("UPDATE events SET recorded_at = recorded_at - interval '1 day'")
    behind = set(old(1))

    housekeeper.tidy()
    assert events(relay) == dead | behind, "it has seen as many as it has patience for"

    housekeeper.tidy()
    assert events(relay) == dead, "it went on where it had stopped"

    relay.execute("UPDATE deliveries SET state = 'succeeded'")
    for _ in range(2):
        housekeeper.tidy()
    assert events(relay) == set(), "it began anew"


def test_what_goes_costs_no_patience(
    relay: RelayParts, housekeeper: Housekeeper, old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeep, "LIMIT", 2)
    monkeypatch.setattr(housekeep, "MAX_KEPT", 2)
    old(7)

    housekeeper.tidy()

    assert events(relay) == set()


def test_old_rows_are_found_by_index(relay: RelayParts) -> None:
    given = {"retention": timedelta(days=30), "limit": 1000, "recorded_at": START[0], "id": START[1]}
    with relay.pool.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_sort = off")
        page = str(connection.execute(b"EXPLAIN " + housekeep._PAGE.encode(), given).fetchall())
        keys = str(connection.execute(b"EXPLAIN " + FORGET_KEYS.encode(), given).fetchall())

    assert "using events_recorded_at" in page
    assert "deliveries_pkey" in page
    assert "using idempotency_keys_created_at" in keys
    assert "Sort" not in page + keys


# Beside others


def test_what_another_relay_is_deleting_is_not_waited_for(
    relay: RelayParts, housekeeper: Housekeeper, old: Old
) -> None:
    ids = old(4)
    relay.execute("INSERT INTO idempotency_keys SELECT i, '', 201, '{}', '2000-01-01' FROM generate_series(1, 3) i")
    with relay.pool.connection() as other, other.transaction():
        other.execute("SELECT FROM events WHERE id = ANY (%s) FOR UPDATE", (ids[:2],))
        other.execute("SELECT FROM idempotency_keys WHERE key = '2' FOR UPDATE")

        housekeeper.tidy()

        assert events(relay) == set(ids[:2])
        assert column(relay, "SELECT key FROM idempotency_keys") == ["2"]


def test_two_relays_share_the_work(
    relay: RelayParts, impatient_pool: Pool, old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeep, "LIMIT", 50)
    old(1000)
    relay.execute("INSERT INTO idempotency_keys SELECT i, '', 201, '{}', '2000-01-01' FROM generate_series(1, 500) i")
    both = [Housekeeper(impatient_pool, relay.redis, MONTH, threading.Event(), PUBLISHER) for _ in range(2)]

    with capture_logs() as log, ThreadPoolExecutor(2) as relays:
        for done in [relays.submit(each.tidy) for each in both]:
            done.result()

    for each in both:
        each.tidy()  # what one had locked, and the other gone past
    assert events(relay) == set()
    assert sum(line["events"] for line in log) <= 1000, "nothing is counted twice"
    assert column(relay, "SELECT key FROM idempotency_keys") == []


def replay(pool: Pool, subscription: str = "audit_log") -> int:
    """Replay everything, as an operator does, and return how many deliveries it says are due."""
    given = {"subscription": subscription, "event_type": "user_registered", "since": "2000-01-01", "succeeded": False}
    with pool.connection() as connection:
        row = connection.execute(operations.REPLAY, given).fetchone()
    assert row is not None
    return int(row[0])


def due(relay: RelayParts) -> int:
    return len(column(relay, "SELECT state FROM deliveries WHERE state = 'pending' AND subscription = 'audit_log'"))


def before_audit(relay: RelayParts) -> None:
    """Let there have been no audit_log yet when the events were new."""
    relay.execute("DELETE FROM deliveries WHERE subscription = 'audit_log'")


def test_an_event_that_is_being_replayed_stays(relay: RelayParts, housekeeper: Housekeeper, old: Old) -> None:
    old(2)
    before_audit(relay)
    with relay.pool.connection() as operator, operator.transaction():
        given = {
            "subscription": "audit_log",
            "event_type": "user_registered",
            "since": "2000-01-01",
            "succeeded": False,
        }
        operator.execute(operations.REPLAY, given)

        housekeeper.tidy()

    assert (len(events(relay)), due(relay)) == (2, 2)


def test_an_event_that_was_replayed_after_the_first_look_stays(
    relay: RelayParts, housekeeper: Housekeeper, old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = housekeeper._remove
    old(2)
    before_audit(relay)

    def remove_late(ids: list[UUID]) -> int:
        assert len(ids) == 2, "the first look found that they were over"
        assert replay(relay.pool) == 2
        return remove(ids)

    monkeypatch.setattr(housekeeper, "_remove", remove_late)
    housekeeper.tidy()

    assert (len(events(relay)), due(relay)) == (2, 2)


def waiting(relay: RelayParts) -> bool:
    query = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'"
    )
    return bool(column(relay, query))


def test_an_event_that_is_being_deleted_cannot_be_replayed_and_spoils_no_other(
    relay: RelayParts, housekeeper: Housekeeper, old: Old, publish_users: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = housekeeper._take
    operators = ThreadPoolExecutor(1)
    replays: list[Future[int]] = []
    old(3)
    [new] = publish_users(1)
    before_audit(relay)

    def take_and_be_slow(connection: Connection[TupleRow], ids: list[UUID]) -> list[UUID]:
        taken = take(connection, ids)
        replays.append(operators.submit(replay, relay.pool))
        until(lambda: waiting(relay) or replays[0].done())
        assert not replays[0].done(), "it must wait, or there would be deliveries of events that go"
        return taken

    monkeypatch.setattr(housekeeper, "_take", take_and_be_slow)
    with operators:
        housekeeper.tidy()

    assert replays[0].result() == 1
    assert (events(relay), due(relay)) == ({new.id}, 1)


def test_what_an_operator_is_just_retrying_stays_until_it_has_been_over_for_long(
    relay: RelayParts, housekeeper: Housekeeper, old: Old
) -> None:
    [event] = old(1)
    relay.execute("UPDATE deliveries SET state = 'failed' WHERE subscription = 'audit_log'")
    with relay.pool.connection() as operator, operator.transaction():
        operator.execute(operations.RETRY_BY_OPERATOR, {"event_id": event, "subscription": "audit_log"})
        housekeeper.tidy()
    housekeeper.tidy()
    assert relay.row(event)["state"] == "pending"

    relay.dispatcher.dispatch()
    relay.tell(event, "succeeded")
    housekeeper.tidy()

    assert relay.row(event)["state"] == "succeeded"


# What the service adds


@pytest.mark.parametrize(
    ("retention", "kept"), [(timedelta(days=30), ["30 min", "2 hours", "23 hours"]), (timedelta(hours=1), ["30 min"])]
)
def test_answers_are_forgotten_after_a_day_or_sooner(
    relay: RelayParts, impatient_pool: Pool, monkeypatch: pytest.MonkeyPatch, retention: timedelta, kept: list[str]
) -> None:
    monkeypatch.setattr(housekeep, "LIMIT", 2)
    for age in ("30 min", "2 hours", "23 hours", "25 hours", "26 hours", "2 days", "3 days", "99 days"):
        relay.execute(
            "INSERT INTO idempotency_keys VALUES (%s, '', 201, '{}', now() - %s::interval)",
            *(age, age),
        )

    forget = Retention(retention, {"idempotency_keys": FORGET_KEYS})
    Housekeeper(impatient_pool, relay.redis, forget, threading.Event(), PUBLISHER).tidy()

    assert column(relay, "SELECT key FROM idempotency_keys ORDER BY created_at DESC") == kept


# Redis


@pytest.fixture
def readers(redis_client: redis.Redis) -> dict[str, ReceiptReader]:
    """Two relays that have read a receipt each: `done` is done with it, `owing` isn't."""
    both = {name: ReceiptReader(redis_client, name, PUBLISHER) for name in ("done", "owing")}
    both["done"].read(wait=0.001)  # makes the group
    for reader in both.values():
        report(redis_client, PUBLISHER, [Receipt(UUID(int=1), "audit_log", 1, "succeeded")])
        entry_ids, _ = reader.read(wait=1)
        if reader is both["done"]:
            reader.done(entry_ids)
    return both


def names(client: redis.Redis) -> set[bytes]:
    return {each["name"] for each in client.xinfo_consumers(RECEIPTS, GROUP)}


def test_the_name_of_an_ended_relay_is_removed_and_one_that_owes_stays(
    relay: RelayParts, readers: dict[str, ReceiptReader], housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeep, "RELAY_GONE", 0.0)

    housekeeper.tidy()

    assert names(relay.redis) == {b"owing"}
    assert len(readers["done"].take_over(idle=0)[0]) == 1, "what it owes is still to be had"


def test_relays_that_were_heard_of_lately_keep_their_names(
    relay: RelayParts, readers: dict[str, ReceiptReader], housekeeper: Housekeeper
) -> None:
    housekeeper.tidy()

    assert names(relay.redis) == {b"done", b"owing"}


def test_a_relay_is_gone_after_an_hour(
    relay: RelayParts, housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def evaluate(*given: object) -> int:
        asked.append(given[-1])
        return 0

    monkeypatch.setattr(relay.redis, "eval", evaluate)
    housekeeper.tidy()

    assert asked == [3_600_000], "milliseconds"


def test_a_relay_whose_name_was_removed_reads_on(
    relay: RelayParts, readers: dict[str, ReceiptReader], housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeep, "RELAY_GONE", 0.0)
    housekeeper.tidy()
    report(relay.redis, PUBLISHER, [Receipt(UUID(int=2), "audit_log", 1, "succeeded")])

    assert readers["done"].read(wait=1)[1] == [Receipt(UUID(int=2), "audit_log", 1, "succeeded")]


def test_while_redis_is_away_postgresql_is_tidied_all_the_same(
    relay: RelayParts, impatient_pool: Pool, old: Old
) -> None:
    old(1)
    nowhere = connect(f"redis://127.0.0.1:{free_port()}")

    Housekeeper(impatient_pool, nowhere, MONTH, threading.Event(), PUBLISHER).tidy()

    assert events(relay) == set()


# A round


def test_one_line_says_what_was_removed_and_none_that_nothing_was(
    relay: RelayParts,
    housekeeper: Housekeeper,
    old: Old,
    readers: dict[str, ReceiptReader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeep, "RELAY_GONE", 0.0)
    monkeypatch.setattr(housekeep, "LIMIT", 2)
    old(3)
    relay.execute("INSERT INTO idempotency_keys VALUES ('key', '', 201, '{}', '2000-01-01')")

    with capture_logs() as log:
        housekeeper.tidy()
        housekeeper.tidy()

    removed = {"events": 3, "idempotency_keys": 1, "relays": 1}
    assert log == [{"event": "history.removed", "log_level": "info", **removed}]


def test_what_was_removed_before_an_error_is_said_too(relay: RelayParts, impatient_pool: Pool, old: Old) -> None:
    old(3)
    broken = Retention(timedelta(days=30), {"answers": "DELETE FROM nowhere"})

    with capture_logs() as log, pytest.raises(psycopg.errors.UndefinedTable):
        Housekeeper(impatient_pool, relay.redis, broken, threading.Event(), PUBLISHER).tidy()

    assert [(line["event"], line["events"]) for line in log] == [("history.removed", 3)]


def test_a_relay_that_is_told_to_stop_finishes_the_batch_in_hand(
    relay: RelayParts, impatient_pool: Pool, old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeep, "LIMIT", 2)
    stop = threading.Event()
    stop.set()
    old(5)

    Housekeeper(impatient_pool, relay.redis, MONTH, stop, PUBLISHER).tidy()

    assert len(events(relay)) == 3


@pytest.mark.usefixtures("quick_shutdown")
def test_a_relay_does_it_again_and_again(
    relay: RelayParts, old: Old, users_database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.relay.relay.HOUSEKEEP_SECONDS", 0.01)
    stop = threading.Event()
    arguments = (users_database, redis_server.url, QUICK_SUBSCRIPTIONS, stop, MONTH)
    loop = threading.Thread(target=run_relay, args=arguments)
    loop.start()
    try:
        for _ in range(2):
            old(1)
            until(lambda: events(relay) == set())
    finally:
        stop.set()
        loop.join()


def test_the_operators_setting_reaches_the_relay(
    relay: RelayParts, old: Old, users_database: str, redis_server: RedisServer
) -> None:
    """31 days old is within the retention of one relay and beyond that of the next."""
    old(1)
    relay.execute("INSERT INTO idempotency_keys VALUES ('first', '', 201, '{}', now() - interval '25 hours')")
    with relay_process(users_database, redis_server.url, RETENTION_DAYS="31.5"):
        until(lambda: column(relay, "SELECT key FROM idempotency_keys") == [])
    assert len(events(relay)) == 1

    with relay_process(users_database, redis_server.url, RETENTION_DAYS="30.5"):
        until(lambda: events(relay) == set())


@contextmanager
def relay_process(database_url: str, redis_url: str, **environment: str) -> Iterator[None]:
    """Run `users-api relay` until the block ends."""
    program = str(Path(sys.executable).with_name("users-api"))
    given = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "REDIS_URL": redis_url, **environment}
    with subprocess.Popen([program, "relay"], env=given, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
