"""Cancelling a delivery: only what waits in PostgreSQL can be called back, and the answer says what happened."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.patience import until

from contracts import AUDIT_LOG, Event, EventData
from messaging.process.database import Pool
from messaging.publishing import operations
from messaging.publishing.states import DUE, FINAL, IN_FLIGHT, STATES, UNFINISHED
from messaging.relay import Retention
from messaging.relay.housekeep import Housekeeper
from messaging.wire.receipt import OUTCOMES, Outcome
from users_api import PUBLISHER

from .conftest import RelayParts

LONG_AGO = "now() - interval '31 days'"

Publish = Callable[..., list[Event[EventData]]]


def ask(pool: Pool, statement: str, parameters: dict[str, Any]) -> tuple[str, bool] | None:
    """Retry or cancel a delivery. Return the state it was in, and whether it moved."""
    with pool.connection() as connection:
        row = connection.execute(statement.encode(), parameters).fetchone()
    return row and (row[0], bool(row[1]))


def retry(relay: RelayParts, event_id: UUID) -> tuple[str, bool] | None:
    return ask(relay.pool, operations.RETRY_BY_OPERATOR, operations.retrying(event_id, "audit_log", None))


def cancel(relay: RelayParts, event_id: UUID) -> tuple[str, bool] | None:
    return ask(relay.pool, operations.CANCEL, operations.cancelling(event_id, "audit_log", None))


def put_into(relay: RelayParts, event_id: UUID, state: str) -> None:
    relay.execute(
        "UPDATE deliveries SET state = %s, due_at = CASE WHEN %s THEN now() END,"
        " lease_until = CASE WHEN %s THEN now() END, finished_at = CASE WHEN %s THEN now() END"
        " WHERE event_id = %s AND subscription = 'audit_log'",
        *(state, state in DUE, state in IN_FLIGHT, state in FINAL, event_id),
    )


def test_the_states_that_python_names_are_those_that_the_database_allows(users_pool: Pool) -> None:
    query = (
        "SELECT array_agg(found[1]) FROM pg_constraint, regexp_matches(pg_get_constraintdef(oid),"
        " '''(\\w+)''', 'g') AS found WHERE conname = 'deliveries_state_check'"
    )
    with users_pool.connection() as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    assert tuple(row[0]) == STATES
    assert set(UNFINISHED) | set(FINAL) == set(STATES)


@pytest.mark.parametrize("state", DUE)
def test_what_waits_is_cancelled_and_is_never_enqueued(relay: RelayParts, publish_users: Publish, state: str) -> None:
    [event, other] = publish_users(2)
    put_into(relay, event.id, state)

    assert cancel(relay, event.id) == (state, True)

    row = relay.row(event.id)
    assert (row["state"], row["due_in"], row["generation"], row["attempts"]) == ("cancelled", None, 0, 0)
    assert row["finished_at"] is not None
    assert relay.dispatcher.dispatch() == 3, "two welcome emails, and the other event's audit entry"
    assert [[each.event_id for each in batch] for batch in relay.messages("auditor")] == [[other.id]]
    assert relay.dispatcher.next_due() is None


@pytest.mark.parametrize("state", [each for each in STATES if each not in DUE])
def test_what_does_not_wait_stays_as_it_is_and_the_answer_says_why(
    relay: RelayParts, publish_users: Publish, state: str
) -> None:
    [event] = publish_users(1)
    put_into(relay, event.id, state)
    before = relay.row(event.id)

    assert cancel(relay, event.id) == (state, False)

    after = relay.row(event.id)
    assert {**after, "lease_in": None} == {**before, "lease_in": None}
    assert f"is {state}. Only one that is pending or retrying" in operations.not_cancelled(state)


def test_what_does_not_exist_is_not_cancelled(relay: RelayParts) -> None:
    assert cancel(relay, UUID(int=1)) is None


def test_a_delivery_that_a_relay_is_just_claiming_is_not_cancelled(relay: RelayParts, publish_users: Publish) -> None:
    [event] = publish_users(1)
    with ThreadPoolExecutor(1) as operators:
        with relay.pool.connection() as claiming, claiming.transaction():
            claiming.execute("SELECT FROM deliveries FOR UPDATE")
            answer = operators.submit(cancel, relay, event.id)
            until(lambda: waiting(relay) or answer.done())
            claiming.execute("UPDATE deliveries SET state = 'queued', due_at = NULL, lease_until = now(), dispatch = 1")
        assert answer.result() == ("queued", False)

    assert relay.row(event.id)["state"] == "queued"


def waiting(relay: RelayParts) -> bool:
    with relay.pool.connection() as connection:
        query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return connection.execute(query).fetchone() is not None


@pytest.fixture
def lost_and_cancelled(relay: RelayParts, queued: UUID) -> UUID:
    """A delivery that was dispatched, whose message seems lost, and which was cancelled then."""
    relay.redis.flushall()
    relay.age_leases()
    relay.reconciler.reconcile()
    assert cancel(relay, queued) == ("pending", True)
    return queued


def test_a_success_that_is_reported_late_shows_that_the_effect_is_there(
    relay: RelayParts, lost_and_cancelled: UUID
) -> None:
    relay.tell(lost_and_cancelled, "succeeded")

    row = relay.row(lost_and_cancelled)
    assert (row["state"], row["attempts"], row["generation"]) == ("succeeded", 1, 0)


@pytest.mark.parametrize("outcome", [each for each in OUTCOMES if each != "succeeded"])
def test_anything_else_that_is_reported_late_moves_nothing(
    relay: RelayParts, lost_and_cancelled: UUID, outcome: Outcome
) -> None:
    before = relay.row(lost_and_cancelled)

    relay.tell(lost_and_cancelled, outcome, error="late")

    assert relay.row(lost_and_cancelled) == before


def test_an_operator_can_have_it_after_all_in_a_new_generation(relay: RelayParts, publish_users: Publish) -> None:
    [event] = publish_users(1)
    cancel(relay, event.id)

    assert retry(relay, event.id) == ("cancelled", True)

    row = relay.row(event.id)
    assert (row["state"], row["generation"], row["finished_at"]) == ("pending", 1, None)
    assert relay.dispatcher.dispatch() == 2


@pytest.mark.parametrize("succeeded", [False, True])
def test_a_replay_leaves_it_cancelled(relay: RelayParts, publish_users: Publish, succeeded: bool) -> None:
    [event] = publish_users(1)
    cancel(relay, event.id)
    replayed = operations.replaying(AUDIT_LOG, datetime(2000, 1, 1, tzinfo=UTC), succeeded=succeeded)

    with relay.pool.connection() as connection:
        assert connection.execute(operations.REPLAY, replayed).fetchone() == (0, "")

    assert relay.row(event.id)["state"] == "cancelled"


# Housekeeping


@pytest.fixture
def housekeeper(relay: RelayParts) -> Housekeeper:
    return Housekeeper(relay.pool, relay.redis, Retention(), threading.Event(), PUBLISHER)


@pytest.fixture
def old(relay: RelayParts, publish_users: Publish) -> UUID:
    """An event of 31 days ago: one of its effects succeeded, the other was cancelled."""
    [event] = publish_users(1)
    relay.execute(f"UPDATE deliveries SET state = 'succeeded', due_at = NULL, finished_at = {LONG_AGO}")
    relay.execute("UPDATE deliveries SET state = 'cancelled' WHERE subscription = 'audit_log'")
    relay.execute(f"UPDATE events SET recorded_at = {LONG_AGO}, available_at = {LONG_AGO}")
    return event.id


def events(relay: RelayParts) -> list[UUID]:
    with relay.pool.connection() as connection:
        return [event_id for (event_id,) in connection.execute("SELECT id FROM events")]


def test_what_was_cancelled_long_ago_is_forgotten(relay: RelayParts, housekeeper: Housekeeper, old: UUID) -> None:
    housekeeper.tidy()
    assert events(relay) == []


def test_what_was_cancelled_lately_is_kept(relay: RelayParts, housekeeper: Housekeeper, old: UUID) -> None:
    relay.execute("UPDATE deliveries SET finished_at = now() WHERE state = 'cancelled'")
    housekeeper.tidy()
    assert events(relay) == [old]


def test_what_is_being_deleted_cannot_be_retried(
    relay: RelayParts, housekeeper: Housekeeper, old: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = housekeeper._take
    operators = ThreadPoolExecutor(1)
    answers = []

    def take_and_be_slow(connection: psycopg.Connection[tuple[object, ...]], ids: list[UUID]) -> list[UUID]:
        taken = take(connection, ids)
        answers.append(operators.submit(retry, relay, old))
        until(lambda: waiting(relay) or answers[0].done())
        assert not answers[0].done(), "it must wait, or the answer would be true of nothing"
        return taken

    monkeypatch.setattr(housekeeper, "_take", take_and_be_slow)
    with operators:
        housekeeper.tidy()

    assert answers[0].result() is None
    assert events(relay) == []


def test_what_is_being_retried_is_kept(relay: RelayParts, housekeeper: Housekeeper, old: UUID) -> None:
    with relay.pool.connection() as operator, operator.transaction():
        operator.execute(operations.RETRY_BY_OPERATOR, operations.retrying(old, "audit_log", None))
        housekeeper.tidy()

    assert relay.row(old)["state"] == "pending"
