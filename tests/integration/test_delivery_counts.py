"""The rollup counts each move of a delivery once: with receipts that come twice, late, in any order, or not at all."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.integration.conftest import RelayParts

from contracts import Event, EventData
from messaging.publishing.counts import BOUNDS, FORGET, counting
from messaging.relay import apply, deliveries, dispatch_ends
from messaging.wire import layout
from messaging.wire.receipt import Receipt

Publish = Callable[..., list[Event[EventData]]]


def counts(relay: RelayParts) -> dict[str, int]:
    """Return how often deliveries to audit_log were moved, by state."""
    with relay.pool.connection() as connection:
        rows = connection.execute(
            "SELECT state, sum(count)::int FROM delivery_counts WHERE subscription = 'audit_log' GROUP BY state"
        )
        return dict(rows.fetchall())


def lags(relay: RelayParts) -> list[tuple[int, int, float]]:
    with relay.pool.connection() as connection:
        return connection.execute(
            "SELECT bucket, sum(count)::int, sum(lag) FROM delivery_counts GROUP BY bucket ORDER BY bucket"
        ).fetchall()


def again(relay: RelayParts) -> None:
    relay.age_retries()
    relay.dispatcher.dispatch()


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "uncertain"])
def test_an_outcome_is_counted_once_however_often_it_is_reported(relay: RelayParts, queued: UUID, outcome: Any) -> None:
    for _ in range(3):
        relay.tell(queued, "started")
        relay.tell(queued, outcome)
        relay.tell(queued, "retry")

    assert counts(relay) == {outcome: 1}


def test_retries_are_counted_and_the_last_one_is_a_failure(relay: RelayParts, queued: UUID) -> None:
    for dispatch in (1, 2, 3):
        relay.tell(queued, "retry", dispatch, error="busy")
        relay.tell(queued, "retry", dispatch, error="busy")
        again(relay)

    assert counts(relay) == {"retrying": 2, "failed": 1}


def test_a_late_success_of_an_uncertain_delivery_is_a_move_more(relay: RelayParts, queued: UUID) -> None:
    for outcome in ("uncertain", "succeeded", "succeeded", "uncertain"):
        relay.tell(queued, outcome)

    assert counts(relay) == {"uncertain": 1, "succeeded": 1}


def test_two_dispatches_that_succeed_in_one_round_are_one_success(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry")
    again(relay)

    relay.applier.apply([Receipt(queued, "audit_log", dispatch, "succeeded") for dispatch in (1, 2)])

    assert counts(relay) == {"retrying": 1, "succeeded": 1}


def test_many_of_one_round_share_a_row(relay: RelayParts, publish_users: Publish) -> None:
    events = publish_users(20)
    relay.dispatcher.dispatch()
    relay.execute("UPDATE deliveries SET first_due_at = now() - interval '3 seconds'")

    for share in (events[:5], events[5:]):
        relay.applier.apply([Receipt(each.id, "audit_log", 1, "succeeded") for each in share])

    assert [(bucket, count) for bucket, count, _ in lags(relay)] == [(9, 20)]
    assert lags(relay)[0][2] == pytest.approx(60, abs=20)


def test_what_is_rolled_back_is_not_counted(relay: RelayParts, queued: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch_ends, "RETRIED", "SELECT 1 / 0")
    with pytest.raises(psycopg.errors.Error):
        relay.applier.apply(
            [Receipt(queued, "audit_log", 1, "succeeded"), Receipt(queued, "welcome_email", 1, "retry")]
        )

    assert counts(relay) == {}


@pytest.mark.parametrize(
    ("begun", "crashes", "counted"),
    [(False, 0, {}), (False, 1, {}), (True, 0, {"retrying": 1}), (True, 1, {"failed": 1})],
)
def test_a_crash_is_counted_as_what_it_leads_to(
    relay: RelayParts, queued: UUID, begun: bool, crashes: int, counted: dict[str, int]
) -> None:
    relay.execute("UPDATE deliveries SET attempts = %s, crashes = %s", crashes, crashes)
    if begun:
        relay.tell(queued, "started")
    [[reference]] = relay.messages("auditor")

    for _ in range(2):
        with relay.pool.connection() as connection:
            parameters = deliveries.triples([reference]) | relay.reconciler._policies | counting()
            connection.execute(dispatch_ends.CRASHED, parameters)

    assert counts(relay) == counted


def test_what_got_lost_or_was_handed_back_is_not_counted(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "started")
    relay.redis.flushall()
    relay.reconciler.reconcile()
    again(relay)
    relay.tell(queued, "handed_back", dispatch=2)

    assert counts(relay) == {}


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0, 1), (0.009, 1), *((bound, 2 + place) for place, bound in enumerate(BOUNDS))]
)
def test_a_lag_is_in_the_bucket_below_whose_bound_it_is(
    relay: RelayParts, queued: UUID, seconds: float, bucket: int
) -> None:
    with relay.pool.connection() as connection, connection.transaction():
        connection.execute("UPDATE deliveries SET first_due_at = now() - make_interval(secs => %s)", (seconds,))
        receipts = [Receipt(queued, "audit_log", 1, "succeeded")]
        connection.execute(
            dispatch_ends.SUCCEEDED, deliveries.triples(receipts) | apply._reports(receipts) | counting()
        )

    [(found, count, lag)] = lags(relay)
    assert (found, count) == (bucket, 1)
    assert lag == pytest.approx(seconds)


def test_the_lag_counts_from_when_it_was_first_due_over_retries_and_losses(relay: RelayParts, queued: UUID) -> None:
    relay.execute("UPDATE deliveries SET first_due_at = now() - interval '40 seconds'")
    relay.tell(queued, "retry")
    again(relay)
    relay.redis.delete(layout.messages_key("auditor"), layout.queue_key("auditor"))
    relay.age_leases()
    relay.reconciler.reconcile()
    again(relay)

    relay.tell(queued, "succeeded", dispatch=3)

    assert [(bucket, count) for bucket, count, lag in lags(relay) if lag] == [(12, 1)]


def test_a_delivery_that_is_due_later_has_no_lag_before_it_is_due(relay: RelayParts, publish_users: Publish) -> None:
    [event] = publish_users(1)
    relay.execute("UPDATE deliveries SET created_at = now() - interval '3 days', due_at = now()")
    relay.dispatcher.dispatch()

    relay.tell(event.id, "succeeded")

    assert lags(relay)[0][2] < 10


@pytest.mark.parametrize("change", ["generation = 1", "first_due_at = NULL"])
def test_there_is_no_lag_after_an_operators_retry_nor_for_what_an_older_relay_claimed(
    relay: RelayParts, queued: UUID, change: str
) -> None:
    relay.execute(f"UPDATE deliveries SET {change}")

    relay.tell(queued, "succeeded")

    assert lags(relay) == [(0, 1, 0.0)]


def test_old_counts_are_forgotten(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "succeeded")
    relay.execute(
        "INSERT INTO delivery_counts"
        " SELECT minute - interval '8 days', 'x', counter, state, bucket, count, lag FROM delivery_counts"
    )

    with relay.pool.connection() as connection:
        parameters = {"retention": "30 days", "limit": 1000}
        assert connection.execute(FORGET.replace("%(retention)s", "%(retention)s::interval"), parameters).rowcount == 1

    assert counts(relay) == {"succeeded": 1}
