"""The transactional outbox: an event and its deliveries are rows of the transaction that made it happen.

The outbox never opens, commits or even sees a connection. It makes one statement, and the caller executes that
statement in the transaction that writes what the event is about. So either both are committed or neither is, and a
delivery exists, `pending`, as soon as its event does.

A caller that writes many rows, each with an event, includes `PUBLISH` in the statement that writes them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

from contracts import Event, EventData, Subscription
from messaging.publishing import switches

CHANNEL: LiteralString = "herald_due"
"""PostgreSQL's notification channel on which relays hear that a delivery may be due."""

PUBLISH: LiteralString = """
-- Insert one event for each row of `new_event` (id, type, subject, envelope, available_at: null means now), and one
-- pending delivery for each subscription to the event's type. A delivery is due at `available_at` plus the
-- subscription's delay.
event AS (
    INSERT INTO events (id, type, subject, envelope, available_at)
    SELECT id, type, subject, envelope, coalesce(available_at, now()) FROM new_event
    RETURNING id, type, available_at
), delivery AS (
    INSERT INTO deliveries (event_id, subscription, due_at)
    SELECT event.id, subscription.name, event.available_at + make_interval(secs => subscription.delay)
    FROM event JOIN unnest(%(names)s::text[], %(event_types)s::text[], %(delays)s::float8[])
        AS subscription (name, event_type, delay) ON subscription.event_type = event.type
)"""
"""Two common table expressions, for a WITH clause in which `new_event` precedes them. `subscribed()` returns their
parameters."""

WAKE: LiteralString = "pg_notify('herald_due', '')"
"""An expression for the statement to select, once or more: it wakes every relay when the transaction commits."""

_PUBLISH: LiteralString = f"""
WITH new_event AS (
    SELECT *, %(available_at)s::timestamptz AS available_at
    FROM unnest(%(ids)s::uuid[], %(types)s::text[], %(subjects)s::text[], %(envelopes)s::json[])
        AS new (id, type, subject, envelope)
), {PUBLISH}
SELECT {WAKE}
"""  # noqa: S608  # of literals


def publish(
    events: Sequence[Event[EventData]],
    *,
    available_at: datetime | None = None,
    subscriptions: Sequence[Subscription[EventData]] | None = None,
) -> tuple[LiteralString, dict[str, Any]]:
    """Return the statement that publishes `events`, and its parameters: `connection.execute(*publish([event]))`.

    Execute it in the transaction that the events are about; synchronous and asynchronous connections take it.

    Args:
        events: what happened.
        available_at: when the events become due, an aware datetime however far ahead; now, if None. The delays of
            subscriptions count from then.
        subscriptions: the effects that get a delivery, each for its own event type; those that are on, if None.

    Raises:
        ConfigurationError: a setting of an effect is wrong.
    """
    return _PUBLISH, {
        "ids": [event.id for event in events],
        "types": [event.type for event in events],
        "subjects": [event.subject for event in events],
        "envelopes": [event.model_dump_json() for event in events],
        "available_at": available_at,
        **subscribed(subscriptions),
    }


def subscribed(subscriptions: Sequence[Subscription[EventData]] | None = None) -> dict[str, list[Any]]:
    """Return the parameters of `PUBLISH`, parallel arrays: subscriptions' names, event types, delays in seconds."""
    subscriptions = switches.enabled() if subscriptions is None else subscriptions
    return {
        "names": [subscription.name for subscription in subscriptions],
        "event_types": [subscription.event_type for subscription in subscriptions],
        "delays": [subscription.delay.total_seconds() for subscription in subscriptions],
    }
