"""What people ask of deliveries, over HTTP or on the command line: list them, retry or cancel one, replay many."""

from datetime import datetime
from typing import Any, LiteralString

from contracts import SUBSCRIPTIONS, EventData, Subscription

EXISTING = [subscription.name for subscription in SUBSCRIPTIONS]
"""Names of the subscriptions that there are."""

OF_SUBJECT: LiteralString = """
-- Every effect of every event about a subject, such as users/7, oldest event first.
SELECT event_id, type AS event_type, subscription, state, attempts, crashes, last_error,
    created_at, due_at, queued_at, started_at, finished_at
FROM events JOIN deliveries ON event_id = events.id
WHERE subject = %(subject)s
ORDER BY recorded_at, event_id, subscription
"""

IN_STATE: LiteralString = """
-- Deliveries in one state, newest first.
SELECT event_id, type AS event_type, subject, subscription, state, attempts, crashes, last_error,
    created_at, due_at, queued_at, started_at, finished_at
FROM deliveries JOIN events ON event_id = events.id
WHERE state = %(state)s
ORDER BY created_at DESC
LIMIT %(limit)s
"""

RETRY_BY_OPERATOR: LiteralString = """
-- A dead letter lives again: all its attempts anew, in a new generation. Only what is failed, uncertain or cancelled
-- moves. Not for a subscription that isn't EXISTING: no relay takes its deliveries, and they would be pending for ever.
-- The event is locked before its delivery is read: if housekeeping is just deleting the event, this finds neither.
WITH event AS MATERIALIZED (
    SELECT id FROM events WHERE id = %(event_id)s FOR KEY SHARE
), known AS (
    SELECT event_id, subscription, state FROM deliveries JOIN event ON event_id = event.id
    WHERE subscription = %(subscription)s
    FOR UPDATE OF deliveries
), retried AS (
    UPDATE deliveries
    SET state = 'pending', due_at = now(), finished_at = NULL, generation = generation + 1, attempts = 0, crashes = 0
    FROM known
    WHERE deliveries.event_id = known.event_id AND deliveries.subscription = known.subscription
        AND known.state IN ('failed', 'uncertain', 'cancelled')
    RETURNING pg_notify('herald_due', '')
)
SELECT known.state, EXISTS (SELECT FROM retried) AS moved FROM known
"""

CANCEL: LiteralString = """
-- An operator doesn't want the effect any more. Only what waits in PostgreSQL moves: what is queued or running may have
-- its effect at any moment. Also for a subscription that isn't EXISTING: nothing else ends its deliveries.
WITH known AS (
    SELECT event_id, subscription, state FROM deliveries
    WHERE event_id = %(event_id)s AND subscription = %(subscription)s
    FOR UPDATE
), cancelled AS (
    UPDATE deliveries
    SET state = 'cancelled', due_at = NULL, finished_at = now()
    FROM known
    WHERE deliveries.event_id = known.event_id AND deliveries.subscription = known.subscription
        AND known.state IN ('pending', 'retrying')
    RETURNING deliveries.event_id
)
SELECT known.state, EXISTS (SELECT FROM cancelled) AS moved FROM known
"""

REPLAY: LiteralString = """
-- Deliver to a subscription every event of its type since a time that it never had or that failed for it; with
-- `succeeded` also what succeeded, for a consumer that has lost its database: then what ended since that time counts
-- too, however old the event. What was cancelled stays cancelled. What it never had is due after its delay. Each event
-- is locked before its delivery is touched: one that housekeeping is just deleting is waited for, and left out.
WITH replayed AS (
    INSERT INTO deliveries (event_id, subscription, due_at)
    SELECT id, %(subscription)s, greatest(available_at + make_interval(secs => %(delay)s), now()) FROM events
    WHERE type = %(event_type)s AND (recorded_at >= %(since)s OR %(succeeded)s AND EXISTS (
        SELECT FROM deliveries
        WHERE event_id = events.id AND subscription = %(subscription)s AND finished_at >= %(since)s))
    ORDER BY id
    FOR KEY SHARE
    ON CONFLICT (event_id, subscription) DO UPDATE
    SET state = 'pending', due_at = now(), finished_at = NULL,
        generation = deliveries.generation + 1, attempts = 0, crashes = 0
    WHERE deliveries.state = 'failed' OR deliveries.state = 'succeeded' AND %(succeeded)s
    RETURNING event_id
)
SELECT count(*) AS replayed, pg_notify('herald_due', '') FROM replayed
"""

STATE: LiteralString = """
-- The state of one delivery, which is left alone.
SELECT state, false AS moved FROM deliveries WHERE event_id = %(event_id)s AND subscription = %(subscription)s
"""


def replaying(subscription: Subscription[EventData], since: datetime, *, succeeded: bool = False) -> dict[str, Any]:
    """Return the parameters of `REPLAY`. `succeeded`: also what has succeeded."""
    return {
        "subscription": subscription.name,
        "event_type": subscription.event_type,
        "delay": subscription.delay.total_seconds(),
        "since": since,
        "succeeded": succeeded,
    }


def not_retried(subscription: str, state: str) -> str:
    """Explain why a retry didn't move a delivery that is in this state."""
    if subscription not in EXISTING:
        return f"The subscription {subscription} no longer exists. Subscriptions: {', '.join(EXISTING)}."
    return f"The delivery is {state}. Only one that is failed, uncertain or cancelled can be retried."


def not_cancelled(state: str) -> str:
    """Explain why a delivery that is in this state wasn't cancelled."""
    return f"The delivery is {state}. Only one that is pending or retrying can be cancelled."
