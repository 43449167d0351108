"""What the auditor does with events. Plain functions: no Dramatiq here."""

from collections.abc import Sequence
from typing import LiteralString

from psycopg import Connection

from contracts import Event, EventData, UserRegistered
from messaging import PermanentError

_RECORD: LiteralString = """
-- One row for each event; an event that is already in the log stays as it is. `event_id` is unique: that, and no
-- memory of ours, makes the audit exactly once. Sorted, so that groups that overlap wait and don't deadlock.
INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)
SELECT unnest(%(event_ids)s::uuid[]) AS event_id, unnest(%(actions)s::text[]), unnest(%(emails)s::text[]),
    unnest(%(user_ids)s::bigint[]), unnest(%(correlation_ids)s::text[]), unnest(%(times)s::timestamptz[])
ORDER BY event_id
ON CONFLICT (event_id) DO NOTHING
"""


def record(connection: Connection[tuple[object, ...]], events: Sequence[Event[EventData]]) -> None:
    """Write events into the audit log, all of them or none, in one statement of the caller's transaction.

    Raises:
        PermanentError: one is of a kind that the log has no entry for; upgrade the auditor, then retry.
    """
    registered = [(event, _user(event)) for event in events]
    connection.execute(
        _RECORD,
        {
            "event_ids": [event.id for event, _ in registered],
            "actions": [event.type for event, _ in registered],
            "emails": [user.email for _, user in registered],
            "user_ids": [user.user_id for _, user in registered],
            "correlation_ids": [event.correlationid for event, _ in registered],
            "times": [event.time for event, _ in registered],
        },
    )


def _user(event: Event[EventData]) -> UserRegistered:
    if not isinstance(event.data, UserRegistered):
        raise PermanentError(f"the audit log can't record {event.dataschema}; upgrade the auditor, then retry")
    return event.data
