"""Bulk operations: written as a row, carried out by any relay in chunks, and each delivery moved once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from contracts import AUDIT_LOG
from messaging.errors import OperationRefused
from messaging.process.database import Pool
from messaging.publishing import bulk, operations
from messaging.publishing.bulk import Action, eligible, meant
from messaging.publishing.filtering import Filter
from messaging.publishing.searching import Total
from messaging.relay import operate as operating
from messaging.relay.listener import Listener
from messaging.relay.operate import Operator
from messaging.relay.relay import SETTINGS
from users_api import PUBLISHER

from .operated import LONG_AGO, MINUTE, execute, fail, finish, operation_ids, request, shown
from .searched import read, states_of, write

HOUR = timedelta(hours=1)


@pytest.fixture
def operator(users_database: str) -> Iterator[Operator]:
    """A relay's operator that moves two deliveries in a transaction."""
    with closing(Operator(Listener(users_database, SETTINGS, channel=bulk.CHANNEL), PUBLISHER, chunk=2)) as made:
        yield made


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


def test_what_ended_in_a_time_is_retried_and_nothing_else(users_pool: Pool, operator: Operator) -> None:
    events = [
        write(users_pool, index, "failed", "550 no", ago=2 * HOUR, ended=minutes * MINUTE)
        for index, minutes in enumerate((5, 15, 25))
    ]
    now = datetime.now(UTC)

    request(users_pool, "retry", finished_since=now - 20 * MINUTE, finished_until=now - 10 * MINUTE)
    finish(operator)

    assert states_of(users_pool, events) == [("failed", 0), ("pending", 1), ("failed", 0)]


def test_a_replay_of_what_ended_leaves_events_that_the_subscription_never_had(
    users_pool: Pool, operator: Operator
) -> None:
    old, recent, later = (
        write(users_pool, index, "succeeded", ago=2 * HOUR, ended=minutes * MINUTE)
        for index, minutes in enumerate((25, 15, 5))
    )
    never = write(users_pool, 4, "failed", ago=2 * HOUR)
    execute(users_pool, "DELETE FROM deliveries WHERE event_id = %s AND subscription = 'audit_log'", never)
    now = datetime.now(UTC)

    ended = {"finished_since": now - 20 * MINUTE, "finished_until": now - 10 * MINUTE}
    fields = {"subscriptions": ("audit_log",), "states": ("failed", "succeeded"), "since": now - 3 * HOUR}
    number = request(users_pool, "replay", **fields, **ended)
    finish(operator)

    assert states_of(users_pool, [old, recent, later]) == [("succeeded", 0), ("pending", 1), ("succeeded", 0)]
    assert (shown(users_pool, number)["eligible"], shown(users_pool, number)["moved"]) == (1, 1)
    with users_pool.connection() as connection:
        had = "SELECT FROM deliveries WHERE event_id = %s AND subscription = 'audit_log'"
        assert connection.execute(had, (never,)).fetchone() is None


def test_what_has_ended_can_t_be_cancelled() -> None:
    with pytest.raises(OperationRefused, match="leave out when it finished"):
        meant("cancel", Filter(finished_since=LONG_AGO))


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
        with closing(
            Operator(Listener(users_database, SETTINGS, channel=bulk.CHANNEL), PUBLISHER, chunk=3)
        ) as operator:
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
        assert connection.execute(bulk.STOP, {"id": number, "by": "ada"}).fetchone() == ("running", True)
        assert connection.execute(bulk.STOP, {"id": number, "by": "ada"}).fetchone() == ("cancelled", False)

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
    [number] = [row[0] for row in operation_ids(users_pool)]
    finish(operator)
    assert shown(users_pool, number)["state"] == "failed"
    assert "mood" in shown(users_pool, number)["detail"]


def test_an_action_of_a_newer_version_fails_and_holds_nothing_up(users_pool: Pool, operator: Operator) -> None:
    ids = fail(users_pool, 1)
    execute(users_pool, "ALTER TABLE operations DROP CONSTRAINT operations_action_check")
    execute(
        users_pool,
        "INSERT INTO operations (action, filter, eligible, exact, progress_at)"
        " VALUES ('applaud', '{}', 1, true, now() - interval '1 h')",
    )
    [number] = [row[0] for row in operation_ids(users_pool)]
    request(users_pool, "retry")

    finish(operator)

    ended = shown(users_pool, number)
    assert (ended["state"], ended["detail"]) == (
        "failed",
        "This relay doesn't know the action applaud: upgrade it, and request this again.",
    )
    assert states_of(users_pool, ids) == [("pending", 1)]


# What is done to one delivery


@pytest.mark.parametrize(
    ("statement", "parameters", "state", "action"),
    [
        (operations.RETRY_BY_OPERATOR, operations.retrying, "failed", "retry"),
        (operations.CANCEL, operations.cancelling, "pending", "cancel"),
    ],
    ids=["retry", "cancel"],
)
def test_a_single_move_is_recorded(
    users_pool: Pool, statement: str, parameters: Callable[..., dict[str, Any]], state: str, action: str
) -> None:
    event = write(users_pool, 1, state)
    for _ in range(2):  # the second time nothing moves
        with users_pool.connection() as connection:
            connection.execute(statement.encode(), parameters(event, "audit_log", "ada"))

    [[number]] = operation_ids(users_pool)
    row = shown(users_pool, number)
    assert (row["action"], row["requested_by"], row["state"], row["moved"]) == (action, "ada", "done", 1)
    assert row["filter"] == {"event": str(event), "subscriptions": ["audit_log"]}


def test_a_replay_by_one_statement_is_recorded(users_pool: Pool) -> None:
    fail(users_pool, 3)
    with users_pool.connection() as connection:
        connection.execute(operations.REPLAY, operations.replaying(AUDIT_LOG, LONG_AGO, by="ada"))

    [[number]] = operation_ids(users_pool)
    row = shown(users_pool, number)
    assert (row["action"], row["moved"], row["eligible"]) == ("replay", 3, 3)
    assert Filter.model_validate(row["filter"]).since == LONG_AGO


@pytest.mark.parametrize("action", bulk.ACTIONS)
def test_what_is_eligible_is_counted(users_pool: Pool, operator: Operator, action: Action) -> None:
    states = ("failed", "failed", "pending", "retrying", "succeeded", "cancelled", "uncertain", "uncertain")
    for index, state in enumerate(states):
        write(users_pool, index, state)
    chosen = meant(action, Filter(subscriptions=("audit_log",), since=LONG_AGO))
    assert read(users_pool, eligible(action, chosen)) == Total(count=2, exact=True)
    request(users_pool, action, subscriptions=("audit_log",), since=LONG_AGO)
    finish(operator)
    assert read(users_pool, eligible(action, chosen)).count == 0
