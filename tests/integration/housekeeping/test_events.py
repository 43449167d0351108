"""What is over is forgotten; what isn't finished is never touched."""

from datetime import timedelta

import pytest
from tests.integration.conftest import RelayParts
from tests.integration.housekeeping.conftest import MONTH_AGO, Housekeep, Old, Publish, deliveries, events

from messaging.relay import Retention
from messaging.relay.housekeep import _PAGE, START, Housekeeper
from users_api.retention import FORGET_KEYS


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


def test_the_retention_is_the_operators(relay: RelayParts, housekeep: Housekeep, publish_users: Publish) -> None:
    publish_users(1)
    relay.execute("UPDATE events SET recorded_at = now() - interval '61 min', available_at = now() - interval '61 min'")
    relay.execute("UPDATE deliveries SET state = 'succeeded', due_at = NULL, finished_at = now() - interval '61 min'")

    for hours in (2, 1):
        assert len(events(relay)) == 1
        retention = Retention(timedelta(hours=hours))
        housekeep(retention).tidy()

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
    relay: RelayParts, housekeep: Housekeep, old: Old, number: int
) -> None:
    """Events of one transaction have the same time, and none is left out between two pages."""
    housekeeper = housekeep(limit=3)
    unfinished = old(number)[0]
    old(number)
    relay.execute("UPDATE deliveries SET state = 'failed' WHERE event_id = %s", unfinished)

    housekeeper.tidy()

    assert events(relay) == {unfinished}


def test_many_that_stay_are_looked_at_a_few_at_a_time_and_hide_nothing_behind_them(
    relay: RelayParts, housekeep: Housekeep, old: Old
) -> None:
    housekeeper = housekeep(limit=2, kept_limit=4)
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


def test_what_goes_costs_no_patience(relay: RelayParts, housekeep: Housekeep, old: Old) -> None:
    housekeeper = housekeep(limit=2, kept_limit=2)
    old(7)

    housekeeper.tidy()

    assert events(relay) == set()


def test_old_rows_are_found_by_index(relay: RelayParts) -> None:
    given = {"retention": timedelta(days=30), "limit": 1000, "recorded_at": START[0], "id": START[1]}
    with relay.pool.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_sort = off")
        page = str(connection.execute(b"EXPLAIN " + _PAGE.encode(), given).fetchall())
        keys = str(connection.execute(b"EXPLAIN " + FORGET_KEYS.encode(), given).fetchall())

    assert "using events_recorded_at" in page
    assert "deliveries_pkey" in page
    assert "using idempotency_keys_created_at" in keys
    assert "Sort" not in page + keys
