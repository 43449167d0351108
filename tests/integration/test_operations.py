"""Bulk operations: written as a row, carried out by any relay in chunks, and each delivery moved once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import redis
from psycopg.rows import dict_row

from contracts import AUDIT_LOG, WELCOME_EMAIL
from messaging.errors import OperationRefused
from messaging.process.database import Pool
from messaging.publishing import bulk, operations
from messaging.publishing.bulk import Action, eligible, meant, requesting
from messaging.publishing.filtering import Filter
from messaging.publishing.searching import Count
from messaging.relay import Retention
from messaging.relay import operate as operating
from messaging.relay.housekeep import Housekeeper
from messaging.relay.listener import Listener
from messaging.relay.operate import Operator
from messaging.relay.relay import SETTINGS
from users_api import PUBLISHER

from .searched import NOW, read, states_of, write
from .workers import run_relay, until

MINUTE = timedelta(minutes=1)
LONG_AGO = NOW - timedelta(days=365)


@pytest.fixture
def operator(users_database: str) -> Iterator[Operator]:
    """A relay's operator that moves two deliveries in a transaction."""
    with closing(Operator(Listener(users_database, SETTINGS, channel=bulk.CHANNEL), chunk=2)) as made:
        yield made


def request(pool: Pool, action: Action, **fields: Any) -> int:
    """Request an operation, and return its id."""
    chosen = meant(action, Filter(**fields))
    number = read(pool, eligible(action, chosen))
    with pool.connection() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        row = cursor.execute(bulk.REQUEST, requesting(action, chosen, "ada", number)).fetchone()
    assert row is not None
    return int(row["id"])


def shown(pool: Pool, number: int) -> dict[str, Any]:
    with pool.connection() as connection:
        row = connection.cursor(row_factory=dict_row).execute(bulk.ONE, {"id": number}).fetchone()
    assert row is not None
    return row


def finish(operator: Operator) -> int:
    """Carry out all operations, and return in how many chunks."""
    chunks = 0
    while operator.operate():
        chunks += 1
    return chunks


def execute(pool: Pool, statement: str, *values: object) -> None:
    with pool.connection() as connection:
        connection.execute(statement.encode(), values)


def fail(pool: Pool, number: int, **more: Any) -> list[UUID]:
    return [write(pool, index, "failed", "550 no", **more) for index in range(number)]


def test_a_retry_moves_all_that_failed_in_chunks(users_pool: Pool, operator: Operator) -> None:
    failed = fail(users_pool, 5)
    others = [
        write(users_pool, 10 + place, state) for place, state in enumerate(("uncertain", "cancelled", "succeeded"))
    ]

    number = request(users_pool, "retry", subscriptions=("audit_log",))

    assert shown(users_pool, number)["state"] == "running"
    assert finish(operator) == 3
    assert states_of(users_pool, failed) == 5 * [("pending", 1)]
    assert states_of(users_pool, others) == [("uncertain", 0), ("cancelled", 0), ("succeeded", 0)]
    done = shown(users_pool, number)
    assert (done["state"], done["moved"], done["eligible"], done["exact"]) == ("done", 5, 5, True)
    assert (done["requested_by"], done["action"]) == ("ada", "retry")
    assert done["finished_at"] >= done["requested_at"]


@pytest.mark.parametrize("state", ["uncertain", "cancelled"])
def test_a_retry_moves_others_if_they_are_named(users_pool: Pool, operator: Operator, state: str) -> None:
    event = write(users_pool, 1, state)
    request(users_pool, "retry", states=(state,))
    finish(operator)
    assert states_of(users_pool, [event]) == [("pending", 1)]


@pytest.mark.parametrize("state", ["pending", "retrying"])
def test_a_cancel_moves_what_waits(users_pool: Pool, operator: Operator, state: str) -> None:
    event = write(users_pool, 1, state)
    number = request(users_pool, "cancel", subscriptions=("audit_log",))
    finish(operator)
    assert states_of(users_pool, [event]) == [("cancelled", 0)]
    assert shown(users_pool, number)["moved"] == 1


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed", "uncertain", "cancelled"])
def test_a_cancel_leaves_the_rest(users_pool: Pool, operator: Operator, state: str) -> None:
    event = write(users_pool, 1, state)
    number = request(users_pool, "cancel", subscriptions=("audit_log",))
    finish(operator)
    assert states_of(users_pool, [event]) == [(state, 0)]
    assert (shown(users_pool, number)["state"], shown(users_pool, number)["moved"]) == ("done", 0)


def test_what_fails_after_the_request_is_left_alone(users_pool: Pool, operator: Operator) -> None:
    [before] = fail(users_pool, 1)
    request(users_pool, "retry")
    after = write(users_pool, 7, "failed", ended=-MINUTE)

    finish(operator)

    assert states_of(users_pool, [before, after]) == [("pending", 1), ("failed", 0)]


def test_what_fails_again_isn_t_moved_twice(users_pool: Pool, operator: Operator) -> None:
    failed = fail(users_pool, 3)
    request(users_pool, "retry")
    operator.operate()
    execute(
        users_pool, "UPDATE deliveries SET state = 'failed', due_at = NULL, finished_at = now() WHERE generation = 1"
    )

    finish(operator)

    assert sorted(states_of(users_pool, failed)) == [("failed", 1), ("failed", 1), ("pending", 1)]


def test_what_waits_after_the_request_isn_t_cancelled(users_pool: Pool, operator: Operator) -> None:
    request(users_pool, "cancel")
    events = [write(users_pool, 1, "pending", ended=-MINUTE), write(users_pool, 2, "retrying", ended=-MINUTE)]
    finish(operator)
    assert states_of(users_pool, events) == [("pending", 0), ("retrying", 0)]


def test_a_filter_chooses(users_pool: Pool, operator: Operator) -> None:
    wanted = write(users_pool, 1, "failed", "timeout after 10 s")
    other = write(users_pool, 2, "failed", "550 no")

    request(users_pool, "retry", group="timeout after <number> s")
    finish(operator)

    assert states_of(users_pool, [wanted, other]) == [("pending", 1), ("failed", 0)]


def test_a_relay_that_dies_in_a_chunk_leaves_nothing_of_it(
    users_pool: Pool, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = fail(users_pool, 3)
    number = request(users_pool, "retry")
    operator.operate()
    with monkeypatch.context() as broken:
        broken.setattr(operating, "_PROGRESS", "SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(psycopg.OperationalError):
            operator.operate()
    assert states_of(users_pool, failed) == [("pending", 1), ("pending", 1), ("failed", 0)]

    finish(operator)

    assert states_of(users_pool, failed) == 3 * [("pending", 1)]
    assert shown(users_pool, number)["moved"] == 3


def test_many_relays_share_operations_and_move_nothing_twice(users_database: str, users_pool: Pool) -> None:
    failed = fail(users_pool, 40)
    numbers = [request(users_pool, "retry") for _ in range(3)]

    def relay(_: int) -> int:
        with closing(Operator(Listener(users_database, SETTINGS, channel=bulk.CHANNEL), chunk=3)) as operator:
            return sum(1 for _ in iter(lambda: operator.operate() or unfinished() > 0, False))

    def unfinished() -> int:
        return sum(shown(users_pool, number)["state"] == "running" for number in numbers)

    with ThreadPoolExecutor() as relays:
        list(relays.map(relay, range(3)))

    assert states_of(users_pool, failed) == 40 * [("pending", 1)]
    assert sum(shown(users_pool, number)["moved"] for number in numbers) == 40


def test_operations_take_turns(users_pool: Pool, operator: Operator) -> None:
    fail(users_pool, 6)
    write(users_pool, 9, "pending")
    first = request(users_pool, "retry")
    second = request(users_pool, "cancel", subject="users/9", subscriptions=("audit_log",))

    operator.operate()
    operator.operate()

    assert [shown(users_pool, number)["state"] for number in (first, second)] == ["running", "done"]


def test_an_operation_can_be_cancelled(users_pool: Pool, operator: Operator) -> None:
    failed = fail(users_pool, 5)
    number = request(users_pool, "retry")
    operator.operate()

    with users_pool.connection() as connection:
        assert connection.execute(bulk.STOP, {"id": number}).fetchone() == ("running", True)
        assert connection.execute(bulk.STOP, {"id": number}).fetchone() == ("cancelled", False)

    assert finish(operator) == 0
    assert [state for state, _ in states_of(users_pool, failed)].count("failed") == 3
    assert shown(users_pool, number)["moved"] == 2


def test_subscriptions_that_no_longer_exist_are_cancelled_and_never_retried(
    users_pool: Pool, operator: Operator
) -> None:
    waiting, failed = write(users_pool, 1, "pending"), write(users_pool, 2, "failed")
    execute(users_pool, "UPDATE deliveries SET subscription = 'gone' WHERE subscription = 'audit_log'")

    request(users_pool, "retry")
    request(users_pool, "cancel", subscriptions=("gone",))
    finish(operator)

    assert states_of(users_pool, [waiting, failed], "gone") == [("cancelled", 0), ("failed", 0)]
    with pytest.raises(OperationRefused, match="no subscription gone"):
        meant("retry", Filter(subscriptions=("gone",)))


def test_an_operation_that_this_relay_doesn_t_know_fails_and_says_why(users_pool: Pool, operator: Operator) -> None:
    execute(
        users_pool,
        "INSERT INTO operations (action, filter, eligible, exact) VALUES ('retry', '{\"mood\": 1}', 1, true)",
    )
    [number] = [row[0] for row in _ids(users_pool)]
    finish(operator)
    assert shown(users_pool, number)["state"] == "failed"
    assert "mood" in shown(users_pool, number)["detail"]


def _ids(pool: Pool) -> list[Any]:
    with pool.connection() as connection:
        return connection.execute("SELECT id FROM operations").fetchall()


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

    assert [row[0] for row in _ids(users_pool)] == [new, running]


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
    assert shown(users_pool, _ids(users_pool)[0][0])["moved"] == 1


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
        relay.join(timeout=5)
    assert not relay.is_alive(), "stopping wakes it"


def _listens(pool: Pool) -> bool:
    """Return whether the operator's connection has looked for operations once: before that it began to listen."""
    query = "SELECT FROM pg_stat_activity WHERE application_name = 'herald-operate' AND query = 'COMMIT'"
    with pool.connection() as connection:
        return bool(connection.execute(query.encode()).rowcount)


# What is done to one delivery


@pytest.mark.parametrize(
    ("statement", "state", "action"),
    [(operations.RETRY_BY_OPERATOR, "failed", "retry"), (operations.CANCEL, "pending", "cancel")],
)
def test_a_single_move_is_recorded(users_pool: Pool, statement: str, state: str, action: str) -> None:
    event = write(users_pool, 1, state)
    parameters = {"event_id": event, "subscription": "audit_log", "by": "ada"}
    for _ in range(2):  # the second time nothing moves
        with users_pool.connection() as connection:
            connection.execute(statement.encode(), parameters)

    [[number]] = _ids(users_pool)
    row = shown(users_pool, number)
    assert (row["action"], row["requested_by"], row["state"], row["moved"]) == (action, "ada", "done", 1)
    assert row["filter"] == {"event": str(event), "subscriptions": ["audit_log"]}


def test_a_replay_by_one_statement_is_recorded(users_pool: Pool) -> None:
    fail(users_pool, 3)
    with users_pool.connection() as connection:
        connection.execute(operations.REPLAY, operations.replaying(AUDIT_LOG, LONG_AGO, by="ada"))

    [[number]] = _ids(users_pool)
    row = shown(users_pool, number)
    assert (row["action"], row["moved"], row["eligible"]) == ("replay", 3, 3)
    assert Filter.model_validate(row["filter"]).since == LONG_AGO


@pytest.mark.parametrize("action", bulk.ACTIONS)
def test_what_is_eligible_is_counted(users_pool: Pool, operator: Operator, action: Action) -> None:
    for index, state in enumerate(("failed", "failed", "pending", "retrying", "succeeded", "cancelled", "uncertain")):
        write(users_pool, index, state)
    chosen = meant(action, Filter(subscriptions=("audit_log",), since=LONG_AGO))
    assert read(users_pool, eligible(action, chosen)) == Count(count=2, exact=True)
    request(users_pool, action, subscriptions=("audit_log",), since=LONG_AGO)
    finish(operator)
    assert read(users_pool, eligible(action, chosen)).count == 0
