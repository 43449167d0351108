"""A subscription with a delay: its deliveries are due later, and nobody else's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.conftest import user_registered

from contracts import AUDIT_LOG, Event, UserRegistered
from messaging import publish
from messaging.publishing import operations

from .conftest import QUICK_SUBSCRIPTIONS, RelayParts, Subscriptions

DAY = timedelta(days=1)
FOLLOW_UP = AUDIT_LOG.model_copy(update={"name": "follow_up", "queue": "follow_up", "delay": 3 * DAY})
PublishAll = Callable[..., Event[UserRegistered]]


@pytest.fixture
def subscriptions() -> Subscriptions:
    return (*QUICK_SUBSCRIPTIONS, FOLLOW_UP)


@pytest.fixture
def publish_one(relay: RelayParts, subscriptions: Subscriptions) -> PublishAll:
    """Publish an event to all three subscriptions."""

    def publish_it(available_at: datetime | None = None, zone: str = "UTC") -> Event[UserRegistered]:
        event = user_registered(1)
        with relay.pool.connection() as connection:
            connection.execute("SELECT set_config('timezone', %s, true)", (zone,))
            connection.execute(*publish([event], available_at=available_at, subscriptions=subscriptions))
        return event

    return publish_it


def due(relay: RelayParts, event: Event[UserRegistered]) -> dict[str, Any]:
    """Return how long after the event's recording each of its deliveries is due."""
    query = (
        "SELECT subscription, due_at - recorded_at FROM deliveries JOIN events ON event_id = events.id WHERE id = %s"
    )
    with relay.pool.connection() as connection:
        return dict(connection.execute(query, (event.id,)).fetchall())


def test_a_delayed_delivery_is_due_later_and_the_others_at_once(relay: RelayParts, publish_one: PublishAll) -> None:
    event = publish_one()
    assert due(relay, event) == {"welcome_email": timedelta(0), "audit_log": timedelta(0), "follow_up": 3 * DAY}

    assert relay.dispatcher.dispatch() == 2

    left = relay.row(event.id, "follow_up")
    assert (left["state"], left["dispatch"]) == ("pending", 0)


def test_the_relay_sleeps_until_a_delayed_delivery_is_due_and_takes_it_then(
    relay: RelayParts, publish_one: PublishAll
) -> None:
    event = publish_one()
    relay.dispatcher.dispatch()

    until_then = relay.dispatcher.next_due()
    assert until_then is not None
    assert (3 * DAY).total_seconds() - 60 < until_then <= (3 * DAY).total_seconds()

    relay.age_retries()
    assert relay.dispatcher.dispatch() == 1
    assert relay.row(event.id, "follow_up")["state"] == "queued"


def test_a_delay_counts_from_when_the_event_is_available(relay: RelayParts, publish_one: PublishAll) -> None:
    tomorrow = datetime.now(UTC) + DAY
    event = publish_one(available_at=tomorrow)

    with relay.pool.connection() as connection:
        rows = connection.execute("SELECT subscription, due_at FROM deliveries WHERE event_id = %s", (event.id,))
        assert dict(rows.fetchall()) == {
            "welcome_email": tomorrow,
            "audit_log": tomorrow,
            "follow_up": tomorrow + 3 * DAY,
        }


def test_three_days_are_72_hours_even_when_the_clocks_change(relay: RelayParts, publish_one: PublishAll) -> None:
    before_the_change = datetime(2030, 3, 30, 12, tzinfo=UTC)  # Berlin's clocks change on the 31st
    event = publish_one(available_at=before_the_change, zone="Europe/Berlin")

    with relay.pool.connection() as connection:
        query = "SELECT due_at FROM deliveries WHERE event_id = %s AND subscription = 'follow_up'"
        assert connection.execute(query, (event.id,)).fetchone() == (before_the_change + timedelta(hours=72),)


@pytest.mark.parametrize(("age", "due_in"), [(timedelta(0), 3 * DAY), (DAY, 2 * DAY), (4 * DAY, timedelta(0))])
def test_a_replay_makes_what_a_delayed_subscription_never_had_due_when_it_would_have_been(
    relay: RelayParts, publish_one: PublishAll, age: timedelta, due_in: timedelta
) -> None:
    event = publish_one()
    relay.execute("DELETE FROM deliveries WHERE subscription = 'follow_up'")
    relay.execute("UPDATE events SET available_at = now() - %s", age)

    replayed = operations.replaying(FOLLOW_UP, datetime(2000, 1, 1, tzinfo=UTC))
    with relay.pool.connection() as connection:
        assert connection.execute(operations.REPLAY, replayed).fetchone() == (1, "")

    assert relay.row(event.id, "follow_up")["due_in"] == pytest.approx(due_in.total_seconds(), abs=10)
