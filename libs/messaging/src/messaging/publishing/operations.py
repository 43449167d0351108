"""What operators do with deliveries, over HTTP or on the command line: list, retry, cancel and replay them.

Each statement that moves deliveries records that in the table `operations`, in the same transaction; `by` is who wants
it. What is done to all that a filter finds is in `messaging.publishing.bulk`.
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from contracts import SUBSCRIPTIONS, EventData, Subscription
from messaging.publishing.attempts import HISTORY
from messaging.publishing.filtering import Filter
from messaging.publishing.states import DUE, RETRYABLE, DeliveryState

EXISTING = [subscription.name for subscription in SUBSCRIPTIONS]
"""Names of the subscriptions that this version declares."""

DELIVERY: LiteralString = """event_id, type AS event_type, subscription, state, attempts, crashes, last_error,
    reference, confirmed_by, created_at, due_at, queued_at, started_at, finished_at"""
"""What is shown of a delivery: columns of deliveries, joined with its event."""

OF_SUBJECT: LiteralString = f"""
-- Every delivery of every event about a subject, such as users/7, with its history, oldest event first.
SELECT {DELIVERY}, history, history_omitted
FROM events JOIN deliveries ON event_id = events.id CROSS JOIN {HISTORY}
WHERE subject = %(subject)s
ORDER BY recorded_at, event_id, subscription
"""  # noqa: S608  # of literals

EVENT: LiteralString = f"""
-- One event with its deliveries and their history: a row for each of these, or one row without any.
SELECT events.id, type, subject, available_at, recorded_at, envelope, {DELIVERY}, history, history_omitted
FROM events LEFT JOIN deliveries ON event_id = events.id CROSS JOIN {HISTORY}
WHERE events.id = %(event_id)s
ORDER BY subscription
"""  # noqa: S608  # of literals

IN_STATE: LiteralString = f"""
-- Deliveries in one state, newest first.
SELECT {DELIVERY}, subject
FROM deliveries JOIN events ON event_id = events.id
WHERE state = %(state)s
ORDER BY created_at DESC
LIMIT %(limit)s
"""  # noqa: S608  # of literals

DUE_ANEW: LiteralString = """state = 'pending', due_at = now(), first_due_at = NULL, finished_at = NULL,
        confirmed_by = NULL, generation = deliveries.generation + 1, attempts = 0, crashes = 0"""
"""How every statement makes a delivery that has ended due again: with all its attempts, in a new generation."""

_CURRENT: LiteralString = """event AS MATERIALIZED (
    SELECT id FROM events WHERE id = ANY (%(event_ids)s) ORDER BY id FOR KEY SHARE
), current AS MATERIALIZED (
    SELECT event_id, subscription, state, created_at, started_at, finished_at
    FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[]) AS chosen (event_id, subscription)
        JOIN event ON event.id = event_id JOIN deliveries USING (event_id, subscription)
    ORDER BY event_id, subscription
    FOR UPDATE OF deliveries
)"""

_OF_CURRENT: LiteralString = """FROM current
    WHERE deliveries.event_id = current.event_id AND deliveries.subscription = current.subscription
        AND current.state = ANY (%(states)s)"""

RECORDED: LiteralString = """
    INSERT INTO operations (action, filter, requested_by, state, eligible, exact, moved, finished_at)
    SELECT %(action)s, jsonb_build_object('event', event_id, 'subscriptions', jsonb_build_array(subscription)), %(by)s,
        'done', 1, true, 1, now()
    FROM moved WHERE %(requested_at)s::timestamptz IS NULL
"""
"""Record what was done to one delivery. A bulk operation, which says when it was requested, has its own record."""

RETRY_BY_OPERATOR: LiteralString = f"""
-- Make deliveries that are failed, uncertain or cancelled due again. `requested_at`: only those that had ended by then,
-- for a bulk operation. Each event is locked before its delivery is read: if housekeeping is just deleting the event,
-- this finds neither.
WITH {_CURRENT}, moved AS (
    UPDATE deliveries
    SET {DUE_ANEW}
    {_OF_CURRENT} AND current.finished_at <= coalesce(%(requested_at)s, 'infinity'::timestamptz)
    RETURNING deliveries.event_id, deliveries.subscription
), recorded AS ({RECORDED})
SELECT state, (SELECT count(*) FROM moved) AS moved, pg_notify('herald_due', '') FROM current LIMIT 1
"""  # noqa: S608  # of literals

CANCEL: LiteralString = f"""
-- Cancel deliveries whose effects an operator no longer wants. Only a delivery that waits in PostgreSQL moves: one that
-- is queued or running may have its effect at any moment. This works for a subscription that isn't in EXISTING too:
-- nothing else ends its deliveries. Locks and `requested_at` are as in RETRY_BY_OPERATOR.
WITH {_CURRENT}, moved AS (
    UPDATE deliveries
    SET state = 'cancelled', due_at = NULL, finished_at = now()
    {_OF_CURRENT} AND greatest(current.created_at, current.started_at)
        <= coalesce(%(requested_at)s, 'infinity'::timestamptz)
    RETURNING deliveries.event_id, deliveries.subscription
), recorded AS ({RECORDED})
SELECT state, (SELECT count(*) FROM moved) AS moved FROM current LIMIT 1
"""  # noqa: S608  # of literals

REPLAY: LiteralString = f"""
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
    SET {DUE_ANEW}
    WHERE deliveries.state = 'failed' OR deliveries.state = 'succeeded' AND %(succeeded)s
    RETURNING event_id
), recorded AS (
    INSERT INTO operations (action, filter, requested_by, state, eligible, exact, moved, finished_at)
    SELECT 'replay', %(filter)s::jsonb, %(by)s, 'done', count(*), true, count(*), now() FROM replayed
)
SELECT count(*) AS replayed, pg_notify('herald_due', '') FROM replayed
"""  # noqa: S608  # of literals


def retrying(event_id: UUID, subscription: str, by: str | None) -> dict[str, Any]:
    """Return the parameters of RETRY_BY_OPERATOR for one delivery.

    One of a subscription that isn't in EXISTING isn't moved: no relay takes it, so it would stay pending.
    """
    states = RETRYABLE if subscription in EXISTING else ()
    return _one("retry", event_id, subscription, states, by)


def cancelling(event_id: UUID, subscription: str, by: str | None) -> dict[str, Any]:
    """Return the parameters of CANCEL for one delivery."""
    return _one("cancel", event_id, subscription, DUE, by)


def _one(
    action: str, event_id: UUID, subscription: str, states: tuple[DeliveryState, ...], by: str | None
) -> dict[str, Any]:
    chosen = {"event_ids": [event_id], "subscriptions": [subscription], "states": list(states)}
    return {"action": action, **chosen, "requested_at": None, "by": by}


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
