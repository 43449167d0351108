"""Find the deliveries that have changed since the last look, without a trigger and without an index by time of change.

A row that a transaction wrote has that transaction's number in its `xmin`. The transactions that a look doesn't see yet
have numbers from its snapshot's xmin on, and that is the next look's `horizon`. So what has changed since then has a
number that isn't below the horizon. No clock is involved, and a transaction that commits late isn't missed.

A look reads by index and by key: the newest events, what is next due, what is in flight, the newest of the dead, each
up to LIMIT; what earlier looks found unfinished (`tracked`); and what viewers watch. So its cost doesn't depend on how
much there is. Of more changes than that, it sees a part.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from messaging.publishing import operations
from users_api.database import query
from users_api.pool import Pool

LIMIT = 100
"""The most rows of each kind that a look reads."""

_LOOK: LiteralString = f"""
-- `changed`: since the horizon. An unfinished delivery is also returned if it isn't tracked yet, and a watched one
-- always. Without any such row there is one row with the horizon alone.
WITH looked_at AS MATERIALIZED (
    (SELECT id FROM events ORDER BY recorded_at DESC, id DESC LIMIT %(limit)s)
    UNION
    (SELECT event_id FROM deliveries WHERE state IN ('pending', 'retrying') ORDER BY due_at LIMIT %(limit)s)
    UNION
    (SELECT event_id FROM deliveries WHERE state IN ('queued', 'running') ORDER BY lease_until DESC LIMIT %(limit)s)
    UNION
    (SELECT event_id FROM deliveries WHERE state IN ('failed', 'uncertain') ORDER BY finished_at DESC LIMIT %(limit)s)
    UNION
    SELECT unnest(%(tracked)s::uuid[])
    UNION
    SELECT unnest(%(events)s::uuid[])
    UNION
    (SELECT id FROM events WHERE subject = ANY (%(subjects)s) LIMIT %(limit)s)
), found AS (
    SELECT {operations.DELIVERY}, subject, recorded_at,
        coalesce(age(deliveries.xmin) <= age(%(horizon)s::xid), false) AS changed
    FROM looked_at JOIN events ON events.id = looked_at.id JOIN deliveries ON deliveries.event_id = events.id
)
SELECT horizon, found.* FROM (
    SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::numeric %% 4294967296)::text AS horizon
) AS snapshot LEFT JOIN found ON changed
    OR state IN ('pending', 'retrying', 'queued', 'running') AND found.event_id <> ALL (%(tracked)s::uuid[])
    OR found.event_id = ANY (%(events)s::uuid[]) OR subject = ANY (%(subjects)s)
ORDER BY recorded_at, found.event_id, subscription
"""  # noqa: S608  # of literals


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found. `horizon`: for the next one."""

    horizon: str
    rows: list[dict[str, Any]]


async def look(
    pool: Pool, horizon: str | None, tracked: Collection[UUID], events: Collection[UUID], subjects: Collection[str]
) -> Look:
    """Look once. Without a horizon nothing counts as changed."""
    parameters: dict[str, object] = {
        "limit": LIMIT,
        "horizon": horizon,
        "tracked": list(tracked),
        "events": list(events),
        "subjects": list(subjects),
    }
    rows = await query(pool, _LOOK, parameters)
    return Look(rows[0]["horizon"], [row for row in rows if row["event_id"] is not None])
