"""How a dispatch of a delivery ends: its worker reports an outcome, dies or is stopped, or Redis loses the message.

The moves, and the invariants of all of them: `messaging.relay.deliveries`.
"""

from typing import LiteralString

from messaging.publishing.attempts import COLUMNS, RECORD
from messaging.publishing.counts import COUNT, LAG


def _recorded(outcome: LiteralString) -> LiteralString:
    """Return the part of a statement that records the attempts of `moved`, all with this outcome (an expression)."""
    return f"""ended AS (
    SELECT *, {outcome} AS outcome FROM moved
), recorded AS (
{RECORD}
)"""  # noqa: S608  # of literals


_FINISH: LiteralString = f"""
-- A worker reported a final outcome. If an older dispatch reported it, the dispatch that is queued now has made no
-- attempt. A success clears the error of an earlier attempt, and also moves a delivery that was cancelled meanwhile or
-- is uncertain. An older dispatch began before this one was queued.
WITH moved AS (
UPDATE deliveries
SET state = receipt.outcome,
    attempts = greatest(1, attempts + (state = 'queued' AND deliveries.dispatch = receipt.dispatch)::int),
    reference = coalesce(receipt.reference, deliveries.reference),
    last_error = coalesce(receipt.error, CASE WHEN receipt.outcome <> 'succeeded' THEN last_error END),
    finished_at = now(), started_at = CASE
        WHEN receipt.ago IS NOT NULL THEN greatest(now() - make_interval(secs => receipt.ago),
            CASE WHEN deliveries.dispatch = receipt.dispatch THEN queued_at ELSE created_at END)
        WHEN state = 'running' THEN started_at ELSE now() END,
    due_at = NULL, lease_until = NULL, message_id = NULL
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[],
    %(outcomes)s::text[], %(errors)s::text[], %(references)s::text[], %(agos)s::float8[])
    AS receipt (event_id, subscription, dispatch, outcome, error, reference, ago)
WHERE deliveries.event_id = receipt.event_id AND deliveries.subscription = receipt.subscription
    AND (deliveries.dispatch = receipt.dispatch AND state IN ('queued', 'running')
        OR receipt.outcome = 'succeeded' AND state NOT IN ('succeeded', 'failed'))
RETURNING deliveries.event_id, deliveries.subscription, state, {COLUMNS}, {LAG} AS lag
)"""  # noqa: S608  # of literals

SUCCEEDED: LiteralString = f"""{_FINISH}
{COUNT}
"""
"""For deliveries that succeeded: no attempt is recorded."""

FAILED: LiteralString = f"""{_FINISH}, {_recorded("state")}
{COUNT}
"""
"""For deliveries that failed or are uncertain."""

RETRIED: LiteralString = f"""
-- A worker reported a transient error: the delivery is due again after its backoff, or `failed` when the policy's
-- attempts are used up.
WITH reported AS (
    SELECT deliveries.event_id, deliveries.subscription, receipt.error, receipt.ago, policy.max_attempts,
        attempts + (state = 'queued')::int AS attempts,
        coalesce(receipt.after, least(policy.max_delay,
            policy.first_delay * 2 ^ least(attempts + (state = 'queued')::int - 1, 60)) * (0.5 + random() / 2)
        ) AS delay
    FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[],
            %(errors)s::text[], %(afters)s::float8[], %(agos)s::float8[])
            AS receipt (event_id, subscription, dispatch, error, after, ago)
        JOIN deliveries USING (event_id, subscription, dispatch)
        JOIN unnest(%(names)s::text[], %(max_attempts)s::int[], %(first_delays)s::float8[], %(max_delays)s::float8[])
            AS policy (subscription, max_attempts, first_delay, max_delay) USING (subscription)
    WHERE lease_until IS NOT NULL
    FOR UPDATE OF deliveries
), moved AS (
UPDATE deliveries
SET attempts = reported.attempts, last_error = reported.error, message_id = NULL, lease_until = NULL,
    state = CASE WHEN reported.attempts >= reported.max_attempts THEN 'failed' ELSE 'retrying' END,
    due_at = CASE WHEN reported.attempts < reported.max_attempts THEN now() + make_interval(secs => reported.delay) END,
    finished_at = CASE WHEN reported.attempts >= reported.max_attempts THEN now() END,
    started_at = CASE
        WHEN reported.ago IS NOT NULL THEN greatest(queued_at, now() - make_interval(secs => reported.ago))
        WHEN state = 'running' THEN started_at ELSE now() END
FROM reported
WHERE deliveries.event_id = reported.event_id AND deliveries.subscription = reported.subscription
RETURNING deliveries.event_id, deliveries.subscription, state, {COLUMNS}, {LAG} AS lag
), {_recorded("'retry'")}, counted AS (
{COUNT}
)
SELECT event_id, subscription, state, last_error FROM moved
"""  # noqa: S608  # of literals

CRASHED: LiteralString = f"""
-- The worker that held these messages is dead. A delivery that it had started has crashed once more; any other is due
-- again at once, and isn't counted: only a delivery that had started is due later than now.
WITH crashed AS (
UPDATE deliveries
SET message_id = NULL, lease_until = NULL,
    crashes = crashes + (state = 'running')::int,
    last_error = CASE WHEN state = 'running' THEN 'the worker process died during this attempt' ELSE last_error END,
    state = CASE WHEN state = 'queued' THEN CASE WHEN attempts > 0 THEN 'retrying' ELSE 'pending' END
        WHEN crashes + 1 >= max_crashes OR attempts >= max_attempts THEN 'failed' ELSE 'retrying' END,
    due_at = CASE WHEN state = 'queued' THEN now()
        WHEN crashes + 1 >= max_crashes OR attempts >= max_attempts THEN NULL
        ELSE now() + make_interval(secs => 0.001 + random() * 2 ^ crashes) END,
    finished_at = CASE WHEN state = 'running' AND (crashes + 1 >= max_crashes OR attempts >= max_attempts)
        THEN now() END
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[])
        AS held (event_id, subscription, dispatch)
    JOIN unnest(%(names)s::text[], %(max_attempts)s::int[], %(max_crashes)s::int[])
        AS policy (subscription, max_attempts, max_crashes) USING (subscription)
WHERE deliveries.event_id = held.event_id AND deliveries.subscription = held.subscription
    AND deliveries.dispatch = held.dispatch AND lease_until IS NOT NULL
RETURNING deliveries.event_id, deliveries.subscription, state, {COLUMNS}, due_at, {LAG} AS lag
), moved AS (
    SELECT * FROM crashed WHERE state = 'failed' OR due_at > now()
), {_recorded("'crashed'")}, counted AS (
{COUNT}
)
SELECT event_id, subscription, state, last_error FROM crashed
"""  # noqa: S608  # of literals

DUE_AGAIN: LiteralString = f"""
-- Make deliveries due at once, because their dispatches were lost: their worker was stopped before it began them, or
-- Redis no longer holds their message (`lost`). An attempt that was reported as started and never as ended doesn't
-- count; otherwise, after the last attempt, the delivery would have one more than its policy allows.
WITH current AS (
    SELECT event_id, subscription, {COLUMNS}, (state = 'running')::int AS begun
    FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[])
        AS dispatched (event_id, subscription, dispatch) JOIN deliveries USING (event_id, subscription, dispatch)
    WHERE lease_until IS NOT NULL
    FOR UPDATE OF deliveries
), moved AS (
UPDATE deliveries
SET state = CASE WHEN current.attempts > begun THEN 'retrying' ELSE 'pending' END,
    attempts = current.attempts - begun, due_at = now(), lease_until = NULL, message_id = NULL
FROM current
WHERE deliveries.event_id = current.event_id AND deliveries.subscription = current.subscription
RETURNING 1
), ended AS (
    SELECT event_id, subscription, generation, attempts, queued_at, started_at, 'lost' AS outcome,
        'Redis lost its message before its end was reported' AS last_error
    FROM current WHERE begun = 1 AND %(lost)s
), recorded AS (
{RECORD}
)
SELECT FROM moved
"""  # noqa: S608  # of literals
