"""Bulk operations: replays, beside housekeeping, and in a running relay."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import redis
from tests.patience import PATIENCE, until

from contracts import AUDIT_LOG, WELCOME_EMAIL
from messaging.errors import OperationRefused
from messaging.process.database import Pool
from messaging.publishing import bulk
from messaging.publishing.bulk import Action, meant
from messaging.publishing.filtering import Filter
from messaging.relay import Retention
from messaging.relay import operate as operating
from messaging.relay.housekeep import Housekeeper
from messaging.relay.listener import Listener
from messaging.relay.operate import Operator
from messaging.relay.relay import SETTINGS
from users_api import PUBLISHER

from .operated import LONG_AGO, MINUTE, execute, fail, finish, operation_ids, request, shown
from .searched import NOW, states_of, write
from .workers import run_relay


@pytest.fixture
def operator(users_database: str) -> Iterator[Operator]:
    """A relay's operator that moves two deliveries in a transaction."""
    with closing(Operator(Listener(users_database, SETTINGS, channel=bulk.CHANNEL), PUBLISHER, chunk=2)) as made:
        yield made


# Replays


def replay(pool: Pool, operator: Operator, **fields: Any) -> int:
    number = request(pool, "replay", subscriptions=("audit_log",), **{"since": LONG_AGO, **fields})
    finish(operator)
    row = shown(pool, number)
    assert (row["state"], row["moved"]) == ("done", row["eligible"])
    return int(row["moved"])


def test_a_replay_gives_what_is_missing_or_failed(users_pool: Pool, operator: Operator) -> None:
    events = [
        write(users_pool, index, state)
        for index, state in enumerate(("failed", "succeeded", "cancelled", "uncertain", "pending", "failed"))
    ]
    missing = write(users_pool, 9, "failed")
    execute(users_pool, "DELETE FROM deliveries WHERE event_id = %s AND subscription = 'audit_log'", missing)

    assert replay(users_pool, operator) == 3

    assert states_of(users_pool, [*events, missing]) == [
        *(("pending", 1), ("succeeded", 0), ("cancelled", 0), ("uncertain", 0), ("pending", 0), ("pending", 1)),
        ("pending", 0),
    ]


def test_a_replay_of_what_succeeded(users_pool: Pool, operator: Operator) -> None:
    event = write(users_pool, 1, "succeeded")
    assert replay(users_pool, operator, states=("succeeded",)) == 1
    assert states_of(users_pool, [event]) == [("pending", 1)]


def test_a_replay_reaches_back_to_a_time_and_is_about_one_user(users_pool: Pool, operator: Operator) -> None:
    events = [write(users_pool, index, "failed", ago=index * MINUTE) for index in range(3)]
    assert replay(users_pool, operator, subject="users/2") == 1
    assert replay(users_pool, operator, since=NOW - MINUTE) == 2
    assert states_of(users_pool, events) == 3 * [("pending", 1)]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"subscriptions": ("audit_log",)}, "since when"),
        ({"since": NOW}, "one subscription"),
        ({"subscriptions": ("audit_log", "welcome_email"), "since": NOW}, "one subscription"),
        ({"subscriptions": ("nothing",), "since": NOW}, "no subscription nothing"),
        ({"subscriptions": ("webhook",), "since": NOW}, "is off"),
        ({"subscriptions": ("welcome_email",), "since": NOW, "states": ("succeeded",)}, "might happen twice"),
        ({"subscriptions": ("audit_log",), "since": NOW, "error": "550"}, "leave out error"),
        ({"subscriptions": ("audit_log",), "since": NOW, "states": ("pending",)}, "Only deliveries"),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused(fields: dict[str, Any], why: str) -> None:
    assert not WELCOME_EMAIL.repeatable
    with pytest.raises(OperationRefused, match=why):
        meant("replay", Filter(**fields))


# Housekeeping


@pytest.fixture
def housekeeper(users_pool: Pool, redis_client: redis.Redis) -> Housekeeper:
    return Housekeeper(users_pool, redis_client, Retention(), threading.Event(), PUBLISHER)


def test_what_ended_long_ago_is_forgotten(users_pool: Pool, operator: Operator, housekeeper: Housekeeper) -> None:
    old, new = request(users_pool, "retry"), request(users_pool, "retry")
    finish(operator)
    running = request(users_pool, "retry")
    execute(users_pool, "UPDATE operations SET finished_at = now() - interval '31 days' WHERE id = %s", old)
    execute(users_pool, "UPDATE operations SET requested_at = now() - interval '31 days' WHERE id = %s", running)

    housekeeper.tidy()

    assert [row[0] for row in operation_ids(users_pool)] == [new, running]


def test_an_event_that_is_being_deleted_is_left_out(users_pool: Pool, operator: Operator) -> None:
    kept, deleted = write(users_pool, 1, "cancelled"), write(users_pool, 2, "cancelled")
    request(users_pool, "retry", states=("cancelled",))
    with ThreadPoolExecutor() as relays, users_pool.connection() as connection, connection.transaction():
        connection.execute("SELECT FROM events WHERE id = %s FOR UPDATE", (deleted,))
        carried_out = relays.submit(finish, operator)
        until(lambda: _waits(users_pool) or carried_out.done())
        connection.execute("DELETE FROM events WHERE id = %s", (deleted,))

    assert carried_out.result() == 2
    assert states_of(users_pool, [kept]) == [("pending", 1)]
    assert shown(users_pool, operation_ids(users_pool)[0][0])["moved"] == 1


def test_an_event_that_is_being_deleted_isn_t_replayed(users_pool: Pool, operator: Operator) -> None:
    deleted = write(users_pool, 1, "cancelled")
    execute(users_pool, "DELETE FROM deliveries")
    number = request(users_pool, "replay", subscriptions=("audit_log",), since=LONG_AGO)
    with ThreadPoolExecutor() as relays, users_pool.connection() as connection, connection.transaction():
        connection.execute("SELECT FROM events WHERE id = %s FOR UPDATE", (deleted,))
        carried_out = relays.submit(finish, operator)
        until(lambda: _waits(users_pool) or carried_out.done())
        connection.execute("DELETE FROM events WHERE id = %s", (deleted,))

    assert carried_out.result() == 1
    assert (shown(users_pool, number)["state"], shown(users_pool, number)["moved"]) == ("done", 0)


@pytest.mark.parametrize(
    ("action", "state", "moved_on"),
    [
        ("retry", "failed", "state = 'succeeded'"),
        ("retry", "failed", "finished_at = now() + interval '1 minute'"),
        ("cancel", "pending", "state = 'queued', due_at = NULL, lease_until = now()"),
        ("cancel", "retrying", "started_at = now() + interval '1 minute'"),
        ("replay", "failed", "state = 'uncertain'"),
        ("replay", "failed", "finished_at = now() + interval '1 minute'"),
    ],
)
def test_what_moves_on_while_a_relay_has_chosen_it_is_left_alone(
    users_pool: Pool, operator: Operator, action: Action, state: str, moved_on: str
) -> None:
    event = write(users_pool, 1, state)
    number = request(users_pool, action, subscriptions=("audit_log",), since=LONG_AGO)
    with ThreadPoolExecutor() as relays, users_pool.connection() as connection, connection.transaction():
        connection.execute(
            f"UPDATE deliveries SET {moved_on} WHERE subscription = 'audit_log' AND event_id = %s".encode(), (event,)
        )
        carried_out = relays.submit(finish, operator)
        until(lambda: _waits(users_pool) or carried_out.done())

    assert carried_out.result() == 1
    assert (shown(users_pool, number)["state"], shown(users_pool, number)["moved"]) == ("done", 0)
    assert states_of(users_pool, [event])[0][1] == 0


def _waits(pool: Pool) -> bool:
    with pool.connection() as connection:
        return bool(connection.execute("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'").rowcount)


# A running relay


def test_a_running_relay_is_woken(
    users_database: str, users_pool: Pool, redis_server: Any, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operating, "WAIT_SECONDS", 600.0)
    monkeypatch.setattr(operating, "CHUNK", 10)
    fail(users_pool, 25)
    stop = threading.Event()
    relay = threading.Thread(target=run_relay, args=(users_database, redis_server.url, (AUDIT_LOG,), stop))
    relay.start()
    try:
        until(lambda: _listens(users_pool))
        number = request(users_pool, "retry")
        until(lambda: shown(users_pool, number)["state"] == "done")
        assert shown(users_pool, number)["moved"] == 25
    finally:
        stop.set()
        relay.join(PATIENCE)
    assert not relay.is_alive(), "stopping wakes it"


def _listens(pool: Pool) -> bool:
    """Return whether the operator's connection has looked for operations once: before that it began to listen."""
    query = "SELECT FROM pg_stat_activity WHERE application_name = 'herald-operate' AND query = 'COMMIT'"
    with pool.connection() as connection:
        return bool(connection.execute(query.encode()).rowcount)
