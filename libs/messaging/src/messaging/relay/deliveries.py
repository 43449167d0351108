"""Deliveries: one event for one subscription, and how its state moves. Each move is one statement. Those of operators
stand in `messaging.publishing`: `operations`, `confirming`, `replays`.

Those that end a dispatch, by a receipt, a crash or a loss, are in `messaging.relay.dispatch_ends`.

    pending ──► queued ──► running ──► succeeded
       ▲          │           ├──────► failed      (permanent error, attempts or crashes used up)
       │          └───────────┤──────► uncertain   (it is unknown whether the effect happened; an operator decides)
       └── retrying ◄─────────┘

    pending, retrying ──► cancelled   (an operator no longer wants the effect)

Invariants, each kept by the WHERE clause of the statement that could break it:
- A delivery is claimed by one relay at a time (`FOR UPDATE SKIP LOCKED` in CLAIM).
- A receipt of an older `dispatch` moves nothing, with one exception: a delivery that is unfinished, uncertain or
  cancelled becomes `succeeded` when any of its dispatches turns out to have succeeded, because the effect has happened.
- Any other finished delivery moves only when an operator asks for it (RETRY_BY_OPERATOR, REPLAY, RESEND), in a new
  `generation`. The first two lock the event first, because housekeeping may be about to delete it.
- A queued or running delivery has a lease; when the lease runs out the relay looks for the delivery's message.
- Each move to `succeeded`, `failed`, `uncertain` or `retrying` is counted in the statement that makes it
  (`messaging.publishing.counts`), and each end of an attempt without success is recorded in the statement that ends it
  (`messaging.publishing.attempts`).
A statement that finds its deliveries by key says `lease_until IS NOT NULL` for "queued or running": a CHECK makes that
the same. With the states instead, a plan made while hardly any delivery was in flight would read the index of all that
are (`deliveries_leased`) for each receipt, and the connection would keep it when an outage has filled the queues.
All times are by the database's clock. A handler began a reported number of seconds before the receipt is applied, and
not before its delivery was claimed.
"""

from collections.abc import Iterable
from typing import Any, LiteralString, Protocol
from uuid import UUID

from messaging.publishing.operations import DUE_ANEW

CLAIM: LiteralString = """
-- Claim due deliveries and pack them into messages, each with up to group_size deliveries of one subscription. A
-- delivery during which a worker died travels in a message of its own, so that a poison event takes no other event down
-- with it. After two crashes it also travels only while no other such delivery of the subscription is in flight, so
-- that an innocent event isn't blamed again and again. Group sizes are looked up in arrays: joining them would take
-- nearly as long as the rest of the statement when few deliveries are due.
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
    SELECT event_id, subscription, place, due_at, concat_ws('.', %(claim)s::text, subscription,
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
    first_due_at = coalesce(first_due_at, packed.due_at),
    due_at = NULL, queued_at = now(), lease_until = now() + make_interval(secs => %(lease)s)
FROM packed JOIN events ON events.id = packed.event_id
WHERE deliveries.event_id = packed.event_id AND deliveries.subscription = packed.subscription
RETURNING deliveries.event_id, deliveries.subscription, deliveries.message_id, place, dispatch, generation,
    envelope::text AS envelope
"""

NEXT_DUE: LiteralString = """
-- Return the seconds until the next delivery that CLAIM would take is due; null, if none waits.
SELECT extract(epoch FROM min(due_at) - now())::float8 FROM deliveries
WHERE state IN ('pending', 'retrying') AND subscription = ANY (%(names)s)
"""

RELEASE: LiteralString = """
-- Undo CLAIM, because the messages couldn't be enqueued.
UPDATE deliveries
SET state = CASE WHEN attempts > 0 THEN 'retrying' ELSE 'pending' END,
    due_at = now(), lease_until = NULL, message_id = NULL
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[])
    AS unsent (event_id, subscription, dispatch)
WHERE deliveries.event_id = unsent.event_id AND deliveries.subscription = unsent.subscription
    AND deliveries.dispatch = unsent.dispatch AND lease_until IS NOT NULL AND state <> 'running'
"""

STARTED: LiteralString = """
-- A worker began an attempt. If the worker dies now, `running` distinguishes a crash from a wait in the queue.
UPDATE deliveries
SET state = 'running', attempts = attempts + 1,
    started_at = greatest(queued_at, now() - make_interval(secs => coalesce(receipt.ago, 0))),
    lease_until = now() + make_interval(secs => %(lease)s)
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[], %(agos)s::float8[])
    AS receipt (event_id, subscription, dispatch, ago)
WHERE deliveries.event_id = receipt.event_id AND deliveries.subscription = receipt.subscription
    AND deliveries.dispatch = receipt.dispatch AND lease_until IS NOT NULL AND state <> 'running'
"""

RESEND: LiteralString = f"""
-- An operator of the consumer wants an uncertain effect to be caused again: as RETRY_BY_OPERATOR, in a new generation.
-- Housekeeping leaves the event alone, because this delivery isn't over.
UPDATE deliveries
SET {DUE_ANEW}
FROM unnest(%(event_ids)s::uuid[], %(subscriptions)s::text[], %(dispatches)s::int[])
    AS receipt (event_id, subscription, dispatch)
WHERE deliveries.event_id = receipt.event_id AND deliveries.subscription = receipt.subscription
    AND deliveries.dispatch = receipt.dispatch AND state = 'uncertain'
"""  # noqa: S608  # of literals

EXTEND: LiteralString = """
-- Extend leases that ran out, and return their deliveries, so that the relay looks for the messages. The extension
-- grows with the time since a message was queued, so the longer it waits the more rarely the relay looks.
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
-- Let every lease run out now, because Redis was wiped.
UPDATE deliveries SET lease_until = now() WHERE state IN ('queued', 'running') AND lease_until > now()
"""

EXPIRE_OLD: LiteralString = """
-- Let the leases of these subscriptions run out soon, because their queues have lost messages. Not at once, because
-- receipts may be under way; and without the deliveries that are just being enqueued.
UPDATE deliveries SET lease_until = now() + make_interval(secs => %(soon)s)
WHERE state IN ('queued', 'running') AND lease_until > now() + make_interval(secs => %(soon)s)
    AND subscription = ANY (%(names)s) AND queued_at < now() - make_interval(secs => %(soon)s)
"""

WAKE: LiteralString = """
-- Wake every relay: a delivery is due.
SELECT pg_notify('herald_due', '')
"""


class Fenced(Protocol):
    """Anything that identifies a dispatch: one enqueueing of a delivery."""

    @property
    def event_id(self) -> UUID:
        """The event's id."""

    @property
    def subscription(self) -> str:
        """The subscription's name."""

    @property
    def dispatch(self) -> int:
        """The number of the enqueueing: the fencing token."""


def triples(dispatches: Iterable[Fenced]) -> dict[str, list[Any]]:
    """Return the parallel arrays by which the statements above find exactly these dispatches."""
    listed = list(dispatches)
    return {
        "event_ids": [item.event_id for item in listed],
        "subscriptions": [item.subscription for item in listed],
        "dispatches": [item.dispatch for item in listed],
    }
