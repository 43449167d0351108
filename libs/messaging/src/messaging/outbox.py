"""The transactional outbox: an event and its deliveries are rows of the transaction that made it happen.

The outbox never opens, commits or even sees a connection. It makes one statement, and the caller executes it
in the transaction that writes what the event is about. So either both are committed or neither is; and a
delivery exists, `pending`, from the moment its event does.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

from contracts import SUBSCRIPTIONS, Event, EventData

CHANNEL: LiteralString = "herald_due"
"""PostgreSQL notification channel: a delivery may be due."""

_PUBLISH: LiteralString = """
-- One event row for each event, one pending delivery for each subscription to its type, one wake-up in all.
WITH event AS (
    INSERT INTO events (id, type, subject, envelope, available_at)
    SELECT id, type, subject, envelope, coalesce(%(available_at)s::timestamptz, now())
    FROM unnest(%(ids)s::uuid[], %(types)s::text[], %(subjects)s::text[], %(envelopes)s::json[])
        AS new (id, type, subject, envelope)
    RETURNING id, type, available_at
), delivery AS (
    INSERT INTO deliveries (event_id, subscription, due_at)
    SELECT event.id, subscription.name, event.available_at
    FROM event JOIN unnest(%(names)s::text[], %(event_types)s::text[]) AS subscription (name, event_type)
        ON subscription.event_type = event.type
)
SELECT pg_notify('herald_due', '')
"""


def publish(
    events: Sequence[Event[EventData]], *, available_at: datetime | None = None
) -> tuple[LiteralString, dict[str, Any]]:
    """Return the statement, with its parameters, that publishes `events`: `connection.execute(*publish([event]))`.

    Execute it in the transaction that the events are about, synchronously or asynchronously.
    `available_at`: when the events become due (aware datetime, as far ahead as you like); now, if None.
    """
    return _PUBLISH, {
        "ids": [event.id for event in events],
        "types": [event.type for event in events],
        "subjects": [event.subject for event in events],
        "envelopes": [event.model_dump_json() for event in events],
        "available_at": available_at,
        "names": [subscription.name for subscription in SUBSCRIPTIONS],
        "event_types": [subscription.event_type for subscription in SUBSCRIPTIONS],
    }
