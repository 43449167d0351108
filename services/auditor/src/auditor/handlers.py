"""What the auditor does with events. Plain functions: no Dramatiq here."""

from collections.abc import Sequence
from typing import LiteralString

from psycopg import Connection

from contracts import Event, UserRegistered

_RECORD: LiteralString = """
-- Insert one row for each event that isn't in the log yet, and queue what was inserted for the sealer (auditor.chain).
-- The unique key on `event_id` alone makes the audit exactly once. Sorted, so that overlapping groups wait for each
-- other and don't deadlock.
WITH written AS (
    INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)
    SELECT unnest(%(event_ids)s::uuid[]) AS event_id, unnest(%(actions)s::text[]), unnest(%(emails)s::text[]),
        unnest(%(user_ids)s::bigint[]), unnest(%(correlation_ids)s::text[]), unnest(%(times)s::timestamptz[])
    ORDER BY event_id
    ON CONFLICT (event_id) DO NOTHING
    RETURNING id
)
INSERT INTO audit_unsealed (ids) SELECT array_agg(id) FROM written HAVING count(*) > 0
"""


def record(connection: Connection[tuple[object, ...]], events: Sequence[Event[UserRegistered]]) -> None:
    """Write events into the audit log, all of them or none, in one statement of the caller's transaction."""
    connection.execute(
        _RECORD,
        {
            "event_ids": [event.id for event in events],
            "actions": [event.type for event in events],
            "emails": [event.data.email for event in events],
            "user_ids": [event.data.user_id for event in events],
            "correlation_ids": [event.correlationid for event in events],
            "times": [event.time for event in events],
        },
    )
