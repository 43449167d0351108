"""What operators do with deliveries, over HTTP or on the command line: list them, retry or cancel one, replay many.

Each statement that moves deliveries records that in the table `operations`, in the same transaction; `by` is who wants
it. What is done to all that a filter finds is in `messaging.publishing.bulk`.
"""

from datetime import datetime
from typing import Any, LiteralString

from contracts import SUBSCRIPTIONS, EventData, Subscription
from messaging.publishing.filtering import Filter
from messaging.publishing.states import DeliveryState

EXISTING = [subscription.name for subscription in SUBSCRIPTIONS]
"""Names of the subscriptions that this version declares."""

OF_SUBJECT: LiteralString = """
-- Every delivery of every event about a subject, such as users/7, oldest event first.
SELECT event_id, type AS event_type, subscription, state, attempts, crashes, last_error, reference,
    confirmed_by, created_at, due_at, queued_at, started_at, finished_at
FROM events JOIN deliveries ON event_id = events.id
WHERE subject = %(subject)s
ORDER BY recorded_at, event_id, subscription
"""

EVENT: LiteralString = """
-- One event with its deliveries: a row for each of these, or one row without any.
SELECT events.id, type, subject, available_at, recorded_at, envelope, event_id, type AS event_type, subscription, state,
    attempts, crashes, last_error, reference, confirmed_by, created_at, due_at, queued_at, started_at, finished_at
FROM events LEFT JOIN deliveries ON event_id = events.id
WHERE events.id = %(event_id)s
ORDER BY subscription
"""

IN_STATE: LiteralString = """
-- Deliveries in one state, newest first.
SELECT event_id, type AS event_type, subject, subscription, state, attempts, crashes, last_error, reference,
    confirmed_by, created_at, due_at, queued_at, started_at, finished_at
FROM deliveries JOIN events ON event_id = events.id
WHERE state = %(state)s
ORDER BY created_at DESC
LIMIT %(limit)s
"""

RETRY_BY_OPERATOR: LiteralString = """
-- Make a delivery that is failed, uncertain or cancelled due again, with all its attempts, in a new generation. Don't
-- call this for a subscription that isn't in EXISTING: no relay takes its deliveries, so they would stay pending.
-- The event is locked before its delivery is read: if housekeeping is just deleting the event, this finds neither.
WITH event AS MATERIALIZED (
    SELECT id FROM events WHERE id = %(event_id)s FOR KEY SHARE
), current AS (
    SELECT event_id, subscription, state FROM deliveries JOIN event ON event_id = event.id
    WHERE subscription = %(subscription)s
    FOR UPDATE OF deliveries
), retried AS (
    UPDATE deliveries
    SET state = 'pending', due_at = now(), first_due_at = NULL, finished_at = NULL, generation = generation + 1,
        attempts = 0, crashes = 0
    FROM current
    WHERE deliveries.event_id = current.event_id AND deliveries.subscription = current.subscription
        AND current.state IN ('failed', 'uncertain', 'cancelled')
    RETURNING deliveries.event_id, deliveries.subscription, pg_notify('herald_due', '')
), recorded AS (
    INSERT INTO operations (action, filter, requested_by, state, eligible, exact, moved, finished_at)
    SELECT 'retry', jsonb_build_object('event', event_id, 'subscriptions', jsonb_build_array(subscription)), %(by)s,
        'done', 1, true, 1, now()
    FROM retried
)
SELECT current.state, EXISTS (SELECT FROM retried) AS moved FROM current
"""

CANCEL: LiteralString = """
-- Cancel a delivery whose effect an operator no longer wants. Only a delivery that waits in PostgreSQL moves: one that
-- is queued or running may have its effect at any moment. This works for a subscription that isn't in EXISTING too:
-- nothing else ends its deliveries.
WITH current AS (
    SELECT event_id, subscription, state FROM deliveries
    WHERE event_id = %(event_id)s AND subscription = %(subscription)s
    FOR UPDATE
), cancelled AS (
    UPDATE deliveries
    SET state = 'cancelled', due_at = NULL, finished_at = now()
    FROM current
    WHERE deliveries.event_id = current.event_id AND deliveries.subscription = current.subscription
        AND current.state IN ('pending', 'retrying')
    RETURNING deliveries.event_id, deliveries.subscription
), recorded AS (
    INSERT INTO operations (action, filter, requested_by, state, eligible, exact, moved, finished_at)
    SELECT 'cancel', jsonb_build_object('event', event_id, 'subscriptions', jsonb_build_array(subscription)), %(by)s,
        'done', 1, true, 1, now()
    FROM cancelled
)
SELECT current.state, EXISTS (SELECT FROM cancelled) AS moved FROM current
"""

REPLAY: LiteralString = """
-- Make past events due for a subscription: of the events recorded since a time, those for which its delivery failed or
-- is missing. With `succeeded`, for a consumer that lost its database, succeeded deliveries are due again too, also
-- those of older events if they finished since that time. Cancelled deliveries stay cancelled. A new delivery is due
-- after the subscription's delay. Each event is locked before its delivery is touched: if housekeeping is just deleting
-- the event, this statement waits, and then leaves it out.
WITH replayed AS (
    INSERT INTO deliveries (event_id, subscription, due_at)
    SELECT id, %(subscription)s, greatest(available_at + make_interval(secs => %(delay)s), now()) FROM events
    WHERE type = %(event_type)s AND (recorded_at >= %(since)s OR %(succeeded)s AND EXISTS (
        SELECT FROM deliveries
        WHERE event_id = events.id AND subscription = %(subscription)s AND finished_at >= %(since)s))
    ORDER BY id
    FOR KEY SHARE
    ON CONFLICT (event_id, subscription) DO UPDATE
    SET state = 'pending', due_at = now(), first_due_at = NULL, finished_at = NULL, confirmed_by = NULL,
        generation = deliveries.generation + 1, attempts = 0, crashes = 0
    WHERE deliveries.state = 'failed' OR deliveries.state = 'succeeded' AND %(succeeded)s
    RETURNING event_id
), recorded AS (
    INSERT INTO operations (action, filter, requested_by, state, eligible, exact, moved, finished_at)
    SELECT 'replay', %(filter)s::jsonb, %(by)s, 'done', count(*), true, count(*), now() FROM replayed
)
SELECT count(*) AS replayed, pg_notify('herald_due', '') FROM replayed
"""

STATE: LiteralString = """
-- Read the state of one delivery, in the shape of RETRY_BY_OPERATOR and CANCEL.
SELECT state, false AS moved FROM deliveries WHERE event_id = %(event_id)s AND subscription = %(subscription)s
"""


def replaying(
    subscription: Subscription[EventData], since: datetime, *, succeeded: bool = False, by: str | None = None
) -> dict[str, Any]:
    """Return the parameters of `REPLAY`.

    Args:
        subscription: whose events.
        since: the oldest event's time of recording.
        succeeded: whether to deliver again what succeeded.
        by: who wants it.
    """
    states: tuple[DeliveryState, ...] = ("failed", "succeeded") if succeeded else ("failed",)
    meant = Filter(subscriptions=(subscription.name,), states=states, since=since)
    return {
        "subscription": subscription.name,
        "event_type": subscription.event_type,
        "delay": subscription.delay.total_seconds(),
        "since": since,
        "succeeded": succeeded,
        "filter": meant.model_dump_json(exclude_none=True),
        "by": by,
    }


def not_retried(subscription: str, state: str) -> str:
    """Explain why a retry didn't move a delivery in `state`."""
    if subscription not in EXISTING:
        return f"The subscription {subscription} no longer exists. Subscriptions: {', '.join(EXISTING)}."
    return f"The delivery is {state}. Only one that is failed, uncertain or cancelled can be retried."


def not_cancelled(state: str) -> str:
    """Explain why a delivery in `state` wasn't cancelled."""
    return f"The delivery is {state}. Only one that is pending or retrying can be cancelled."
