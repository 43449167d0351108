"""Other relays and operators work at the same time: nothing waits, nothing is deleted that became due."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow
from structlog.testing import capture_logs
from tests.integration.conftest import RelayParts
from tests.integration.housekeeping.conftest import Housekeep, Old, Publish, column, events
from tests.patience import until

from contracts import AUDIT_LOG
from messaging.process.database import Pool
from messaging.publishing import operations
from messaging.relay.housekeep import Housekeeper

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


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


def test_two_relays_share_the_work(relay: RelayParts, housekeep: Housekeep, old: Old) -> None:
    old(1000)
    relay.execute("INSERT INTO idempotency_keys SELECT i, '', 201, '{}', '2000-01-01' FROM generate_series(1, 500) i")
    both = [housekeep(limit=50) for _ in range(2)]

    with capture_logs() as log, ThreadPoolExecutor(2) as relays:
        for done in [relays.submit(each.tidy) for each in both]:
            done.result()

    for each in both:
        each.tidy()  # what one had locked, and the other gone past
    assert events(relay) == set()
    assert sum(line["events"] for line in log) <= 1000, "nothing is counted twice"
    assert column(relay, "SELECT key FROM idempotency_keys") == []


def replay(pool: Pool) -> int:
    """Replay everything, as an operator does, and return how many deliveries it says are due."""
    with pool.connection() as connection:
        row = connection.execute(operations.REPLAY, operations.replaying(AUDIT_LOG, LONG_AGO)).fetchone()
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
        operator.execute(operations.REPLAY, operations.replaying(AUDIT_LOG, LONG_AGO))

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
        operator.execute(operations.RETRY_BY_OPERATOR, operations.retrying(event, "audit_log", None))
        housekeeper.tidy()
    housekeeper.tidy()
    assert relay.row(event)["state"] == "pending"

    relay.dispatcher.dispatch()
    relay.tell(event, "succeeded")
    housekeeper.tidy()

    assert relay.row(event)["state"] == "succeeded"
