"""How many deliveries of each subscription are unfinished, failed or uncertain, and how old and how late the oldest is.

At most BOUND deliveries of each kind are read, by the partial index of that kind, so a page costs the same whether a
thousand or a million wait: those that have been due for longest, and the newest of the dead. If there are more, the
counts of that kind are those that a relay made within the last minute or so (`messaging.relay.backlog`), and aren't
`exact`. If no relay has counted, they are lower bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

from contracts import SUBSCRIPTIONS
from messaging.publishing.searching import Total
from messaging.publishing.states import DUE, IN_FLIGHT, DeliveryState
from users_api.database import query
from users_api.pool import Pool
from users_api.status.schemas import LastError

BOUND = 10_000

Kind = tuple[DeliveryState, ...]
KINDS: tuple[Kind, ...] = (DUE, IN_FLIGHT, ("failed", "uncertain"))
"""The states that share an index."""

COUNTED = tuple(state for kind in KINDS for state in kind)

_DECLARED = {subscription.name for subscription in SUBSCRIPTIONS}

TIME_LIMIT = max(subscription.time_limit for subscription in SUBSCRIPTIONS)

_BACKLOG: LiteralString = """
-- Each kind is read by its own index, and no further than the bound.
SELECT now() AS time, subscription, state, count(*) AS count,
    coalesce(max(extract(epoch FROM now() - since)), 0)::float8 AS overdue,
    greatest(max(extract(epoch FROM now() - first)), 0)::float8 AS oldest
FROM (
    (SELECT subscription, state, due_at AS since, coalesce(first_due_at, due_at) AS first FROM deliveries
    WHERE state IN ('pending', 'retrying') ORDER BY due_at LIMIT %(bound)s)
    UNION ALL
    (SELECT subscription, state, CASE WHEN state = 'queued' THEN queued_at
        ELSE started_at + make_interval(secs => %(time_limit)s) END,
        coalesce(first_due_at, queued_at) FROM deliveries
    WHERE state IN ('queued', 'running') ORDER BY lease_until LIMIT %(bound)s)
    UNION ALL
    (SELECT subscription, state, NULL, NULL FROM deliveries
    WHERE state IN ('failed', 'uncertain') ORDER BY finished_at DESC LIMIT %(bound)s)
) AS counted
GROUP BY subscription, state
"""

_ERRORS: LiteralString = """
-- The newest error of each subscription, among the newest of the dead, the next that are tried again, and those whose
-- next attempt is on its way: the error of a running delivery is older than its last queueing. When its attempt ended
-- is looked up for these few alone, by key; an attempt that a relay of an older version ended has no row.
SELECT subscription, text, state, coalesce(ended_at, at) AS at FROM (
    SELECT DISTINCT ON (subscription) event_id, subscription, last_error AS text, state, at FROM (
        (SELECT event_id, subscription, last_error, state, finished_at AS at FROM deliveries
        WHERE state IN ('failed', 'uncertain') ORDER BY finished_at DESC LIMIT 500)
        UNION ALL
        (SELECT event_id, subscription, last_error, state, started_at FROM deliveries
        WHERE state IN ('pending', 'retrying') ORDER BY due_at LIMIT 500)
        UNION ALL
        (SELECT event_id, subscription, last_error, state, CASE WHEN state = 'queued' THEN started_at ELSE queued_at END
        FROM deliveries WHERE state IN ('queued', 'running') ORDER BY lease_until LIMIT 500)
    ) AS troubled
    WHERE last_error IS NOT NULL AND at IS NOT NULL
    ORDER BY subscription, at DESC
) AS newest CROSS JOIN LATERAL (
    SELECT max(ended_at) AS ended_at FROM attempts
    WHERE attempts.event_id = newest.event_id AND attempts.subscription = newest.subscription
) AS recorded
"""

_COUNTED: LiteralString = """
-- The time, and what a relay has counted. `overdue`: seconds, of deliveries that wait.
SELECT now() AS time, counted_at, subscription, state, count, extract(epoch FROM now() - oldest)::float8 AS overdue
FROM (SELECT 1) AS always LEFT JOIN backlog ON true LEFT JOIN LATERAL jsonb_to_recordset(counts)
    AS counted (subscription text, state text, count int, oldest timestamptz) ON true
"""


@dataclass(slots=True)
class Backlog:
    """The deliveries of one subscription. `overdue`: seconds that the oldest is late.

    `oldest`: seconds since the oldest unfinished one was first due, of those that were read.
    """

    states: dict[DeliveryState, Total]
    overdue: float = 0.0
    oldest: float = 0.0


@dataclass(slots=True)
class Backlogs:
    """Those of every subscription that is declared or has deliveries, at `time`.

    `counted_at`: when a relay made the counts that aren't exact. `unqueued`: seconds since the oldest delivery of a
    declared subscription was due that no relay has queued.
    """

    time: datetime
    counted_at: datetime | None
    unqueued: float = 0.0
    by_subscription: dict[str, Backlog] = field(default_factory=dict)

    def of(self, subscription: str) -> Backlog:
        """Return that of a subscription."""
        if subscription not in self.by_subscription:
            nothing = {state: Total(count=0, exact=True) for state in COUNTED}
            self.by_subscription[subscription] = Backlog(nothing)
        return self.by_subscription[subscription]


async def backlogs(pool: Pool, bound: int = BOUND) -> Backlogs:
    """Count the deliveries of each subscription."""
    rows = await query(pool, _BACKLOG, {"bound": bound, "time_limit": TIME_LIMIT})
    earlier = await query(pool, _COUNTED, {})
    found = Backlogs(earlier[0]["time"], earlier[0]["counted_at"])
    for subscription in SUBSCRIPTIONS:
        found.of(subscription.name)
    for row in rows:
        backlog = found.of(row["subscription"])
        backlog.states[row["state"]].count = row["count"]
        backlog.overdue = max(backlog.overdue, row["overdue"])
        backlog.oldest = max(backlog.oldest, row["oldest"])
        if row["state"] in DUE and row["subscription"] in _DECLARED:
            found.unqueued = max(found.unqueued, row["overdue"])
    for kind in (kind for kind in KINDS if _total(rows, kind) >= bound):
        _complete(found, kind, [row for row in earlier if row["state"] in kind])
    return found


def _total(rows: Sequence[dict[str, Any]], kind: Kind) -> int:
    return sum(row["count"] for row in rows if row["state"] in kind)


def _complete(found: Backlogs, kind: Kind, earlier: Sequence[dict[str, Any]]) -> None:
    """Replace the counts of a kind, of which not all were counted, by those that a relay has made."""
    for row in earlier:
        backlog = found.of(row["subscription"])
        waits = kind is DUE and not any(backlog.states[state].count for state in kind)
        backlog.overdue = max(backlog.overdue, row["overdue"] if waits else 0.0)
    for row in earlier:
        counted = found.of(row["subscription"]).states[row["state"]]
        counted.count = max(counted.count, row["count"])
    for backlog in found.by_subscription.values():
        for state in kind:
            backlog.states[state].exact = False


async def last_errors(pool: Pool) -> dict[str, LastError]:
    """Return the newest error of each subscription that has one."""
    return {row.pop("subscription"): LastError.model_validate(row) for row in await query(pool, _ERRORS, {})}
