"""Deliveries: one event for one subscription, and every move of its state. Each move is one statement.

    pending ──► queued ──► running ──► succeeded
       ▲          │           ├──────► failed      (permanent error, attempts or crashes used up)
       │          └───────────┤──────► uncertain   (nobody can know; an operator decides)
       └── retrying ◄─────────┘

    pending, retrying ──► cancelled   (an operator doesn't want the effect any more)

Invariants, each kept by the WHERE clause of the statement that could break it:
- A delivery is claimed by one relay at a time (`FOR UPDATE SKIP LOCKED` in CLAIM).
- News about an older `dispatch` moves nothing, with one exception: a delivery that is unfinished or cancelled becomes
  `succeeded` when any of its dispatches turns out to have succeeded, because the effect is there.
- Any other finished delivery moves only when an operator says so (RETRY_BY_OPERATOR, REPLAY), in a new `generation`.
  A statement that makes due what has succeeded or was cancelled locks its event first, because housekeeping may be
  about to delete it.
- Whatever is queued or running has a lease; when that runs out the relay looks for its message.
All times are the database's.
"""

from collections.abc import Iterable
from typing import Any, LiteralString, Protocol
from uuid import UUID

CLAIM: LiteralString = """
-- Take due deliveries and pack them into messages: up to group_size of one subscription in each. What has seen its
-- worker die travels alone, so that a poison event takes no neighbour down; what has seen it twice, one at a time
-- too, so that no bystander is taken for the culprit again and again. Sizes are looked up in arrays: a join with them
-- takes nearly as long as all the rest, when little is due.
WITH due AS MATERIALIZED (
    SELECT event_id, subscription, crashes, due_at
    FROM deliveries
    WHERE state IN ('pending', 'retrying') AND due_at <= now() AND subscription = ANY (%(names)s)
        AND (crashes < 2 OR NOT EXISTS (SELECT FROM deliveries AS suspect
            WHERE suspect.subscription = deliveries.subscription AND suspect.crashes >= 2
                AND suspect.state IN ('queued', 'running')))
    ORDER BY due_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), packed AS (
    SELECT event_id, subscription, place, concat_ws('.', %(claim)s::text, subscription,
        CASE WHEN crashes > 0 THEN event_id::text ELSE ((place - 1) / group_size)::text END) AS message_id
    FROM (
        SELECT *, row_number() OVER (PARTITION BY subscription, least(crashes, 2) ORDER BY due_at, event_id) AS place,
            (%(group_sizes)s::int[])[array_position(%(names)s::text[], subscription)] AS group_size
        FROM due
    ) AS placed
    WHERE crashes < 2 OR place = 1
)
UPDATE deliveries
SET state = 'queued', dispatch = dispatch + 1, message_id = packed.message_id,
    due_at = NULL, queued_at = now(), lease_until = now() + make_interval(secs => %(lease)s)
FROM packed JOIN events ON events.id = packed.event_id
WHERE deliveries.event_id = packed.event_id AND deliveries.subscription = packed.subscription
RETURNING deliveries.event_id, deliveries.subscription, deliveries.message_id, place, dispatch, generation,
    envelope::text AS envelope
"""

NEXT_DUE: LiteralString = """
-- Seconds until the next delivery is due that CLAIM would take; none, if nothing waits.
SELECT extract(epoch FROM min(due_at) - now())::float8 FROM deliveries
WHERE state IN ('pending', 'retrying') AND subscription = ANY (%(names)s)
"""

RELEASE: LiteralString = """
-- Undo CLAIM: the messages couldn't be enqueued.
UPDATE deliveries
SET state = CASE WHEN attempts > 0 THEN 'retrying' ELSE 'pending' END,
    due_at = now(), lease_until = NULL, message_id = NULL
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[])
    AS unsent (event_id, subscription, dispatch)
WHERE deliveries.event_id = unsent.event_id AND deliveries.subscription = unsent.subscription
    AND deliveries.dispatch = unsent.dispatch AND state = 'queued'
"""

STARTED: LiteralString = """
-- A worker began. Shown while it lasts, and the mark by which a crash is told from a wait in the queue.
UPDATE deliveries
SET state = 'running', attempts = attempts + 1, started_at = now(),
    lease_until = now() + make_interval(secs => %(lease)s)
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[])
    AS receipt (event_id, subscription, dispatch)
WHERE deliveries.event_id = receipt.event_id AND deliveries.subscription = receipt.subscription
    AND deliveries.dispatch = receipt.dispatch AND state = 'queued'
"""

DUE_AGAIN: LiteralString = """
-- These dispatches came to nothing: their worker was stopped before it began them, or Redis no longer holds their
-- message. They are due again, at once. An attempt that was reported as begun and never as ended doesn't count:
-- otherwise the last attempt would be followed by one too many.
UPDATE deliveries
SET state = CASE WHEN attempts > (state = 'running')::int THEN 'retrying' ELSE 'pending' END,
    attempts = attempts - (state = 'running')::int, due_at = now(), lease_until = NULL, message_id = NULL
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[])
    AS ended (event_id, subscription, dispatch)
WHERE deliveries.event_id = ended.event_id AND deliveries.subscription = ended.subscription
    AND deliveries.dispatch = ended.dispatch AND state IN ('queued', 'running')
"""

FINISHED: LiteralString = """
-- A worker says how it ended for good. What an older dispatch did is no attempt of the one that is queued. A delivery
-- that has succeeded doesn't keep the error of an earlier attempt. A success also moves what was cancelled meanwhile.
UPDATE deliveries
SET state = receipt.outcome,
    attempts = greatest(1, attempts + (state = 'queued' AND deliveries.dispatch = receipt.dispatch)::int),
    last_error = coalesce(receipt.error, CASE WHEN receipt.outcome <> 'succeeded' THEN last_error END),
    finished_at = now(), started_at = CASE WHEN state = 'running' THEN started_at ELSE now() END,
    due_at = NULL, lease_until = NULL, message_id = NULL
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[],
    %(outcomes)s::text[], %(errors)s::text[]) AS receipt (event_id, subscription, dispatch, outcome, error)
WHERE deliveries.event_id = receipt.event_id AND deliveries.subscription = receipt.subscription
    AND (deliveries.dispatch = receipt.dispatch AND state IN ('queued', 'running')
        OR receipt.outcome = 'succeeded' AND state NOT IN ('succeeded', 'failed', 'uncertain'))
"""

RETRIED: LiteralString = """
-- A worker met a transient error: due again after its backoff, or dead when the policy's attempts are used up.
WITH news AS (
    SELECT deliveries.event_id, deliveries.subscription, receipt.error, policy.max_attempts,
        attempts + (state = 'queued')::int AS attempts,
        coalesce(receipt.after, least(policy.max_delay,
            policy.first_delay * 2 ^ least(attempts + (state = 'queued')::int - 1, 60)) * (0.5 + random() / 2)
        ) AS delay
    FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[],
            %(errors)s::text[], %(afters)s::float8[]) AS receipt (event_id, subscription, dispatch, error, after)
        JOIN deliveries USING (event_id, subscription, dispatch)
        JOIN unnest(%(names)s::text[], %(max_attempts)s::int[], %(first_delays)s::float8[], %(max_delays)s::float8[])
            AS policy (subscription, max_attempts, first_delay, max_delay) USING (subscription)
    WHERE state IN ('queued', 'running')
    FOR UPDATE OF deliveries
)
UPDATE deliveries
SET attempts = news.attempts, last_error = news.error, message_id = NULL, lease_until = NULL,
    state = CASE WHEN news.attempts >= news.max_attempts THEN 'failed' ELSE 'retrying' END,
    due_at = CASE WHEN news.attempts < news.max_attempts THEN now() + make_interval(secs => news.delay) END,
    finished_at = CASE WHEN news.attempts >= news.max_attempts THEN now() END,
    started_at = CASE WHEN state = 'running' THEN started_at ELSE now() END
FROM news
WHERE deliveries.event_id = news.event_id AND deliveries.subscription = news.subscription
RETURNING deliveries.event_id, deliveries.subscription, state, last_error
"""

CRASHED: LiteralString = """
-- The worker that held these messages is dead. What it had begun counts as a crash; what it hadn't just waits.
UPDATE deliveries
SET message_id = NULL, lease_until = NULL,
    crashes = crashes + (state = 'running')::int,
    last_error = CASE WHEN state = 'running' THEN 'the worker process died during this attempt' ELSE last_error END,
    state = CASE WHEN state = 'queued' THEN CASE WHEN attempts > 0 THEN 'retrying' ELSE 'pending' END
        WHEN crashes + 1 >= max_crashes OR attempts >= max_attempts THEN 'failed' ELSE 'retrying' END,
    due_at = CASE WHEN state = 'queued' THEN now()
        WHEN crashes + 1 >= max_crashes OR attempts >= max_attempts THEN NULL
        ELSE now() + make_interval(secs => random() * 2 ^ crashes) END,
    finished_at = CASE WHEN state = 'running' AND (crashes + 1 >= max_crashes OR attempts >= max_attempts)
        THEN now() END
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[])
        AS held (event_id, subscription, dispatch)
    JOIN unnest(%(names)s::text[], %(max_attempts)s::int[], %(max_crashes)s::int[])
        AS policy (subscription, max_attempts, max_crashes) USING (subscription)
WHERE deliveries.event_id = held.event_id AND deliveries.subscription = held.subscription
    AND deliveries.dispatch = held.dispatch AND state IN ('queued', 'running')
RETURNING deliveries.event_id, deliveries.subscription, state, last_error
"""

EXTEND: LiteralString = """
-- Take the leases that ran out, to look for their messages. The longer a message waits the rarer the look.
WITH expired AS MATERIALIZED (
    SELECT event_id, subscription FROM deliveries
    WHERE state IN ('queued', 'running') AND lease_until <= now() AND subscription = ANY (%(names)s)
    ORDER BY lease_until
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE deliveries
SET lease_until = now() + least(greatest(now() - queued_at, make_interval(secs => %(lease)s)), interval '2 min')
FROM expired
WHERE deliveries.event_id = expired.event_id AND deliveries.subscription = expired.subscription
RETURNING deliveries.event_id, deliveries.subscription, dispatch, message_id
"""

EXPIRE_ALL: LiteralString = """
-- Redis was wiped: look at every lease now.
UPDATE deliveries SET lease_until = now() WHERE state IN ('queued', 'running') AND lease_until > now()
"""

EXPIRE_OLD: LiteralString = """
-- These subscriptions' queues have lost messages: look at the leases soon. Not at once, for receipts may be under way;
-- and not at the leases of what is just being enqueued.
UPDATE deliveries SET lease_until = now() + make_interval(secs => %(soon)s)
WHERE state IN ('queued', 'running') AND lease_until > now() + make_interval(secs => %(soon)s)
    AND subscription = ANY (%(names)s) AND queued_at < now() - make_interval(secs => %(soon)s)
"""

WAKE: LiteralString = """
-- Tell every relay that a delivery is due.
SELECT pg_notify('herald_due', '')
"""


class Fenced(Protocol):
    """Anything that names a delivery and one enqueueing of it."""

    @property
    def event_id(self) -> UUID:
        """Which event."""

    @property
    def subscription(self) -> str:
        """For which subscription."""

    @property
    def dispatch(self) -> int:
        """Which enqueueing: the fencing token."""


def triples(items: Iterable[Fenced]) -> dict[str, list[Any]]:
    """Return the parallel arrays by which the statements above find exactly these dispatches."""
    listed = list(items)
    return {
        "event_ids": [each.event_id for each in listed],
        "subscriptions": [each.subscription for each in listed],
        "dispatches": [each.dispatch for each in listed],
    }
