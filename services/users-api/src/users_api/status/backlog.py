"""How many deliveries of each subscription are unfinished, failed or uncertain, and how late the oldest is.

At most BOUND deliveries of each kind are read, by the partial index of that kind, so a page costs the same whether a
thousand or a million wait: those that have been due for longest, and the newest of the dead. If there are more, each
count of that kind is a lower bound, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

from contracts import SUBSCRIPTIONS
from messaging.publishing.states import DUE, IN_FLIGHT, DeliveryState
from users_api.database import query
from users_api.pool import Pool
from users_api.status.schemas import Counted, LastError

BOUND = 20_000

COUNTED: tuple[DeliveryState, ...] = (*DUE, *IN_FLIGHT, "failed", "uncertain")

TIME_LIMIT = max(subscription.time_limit for subscription in SUBSCRIPTIONS)

_BACKLOG: LiteralString = """
-- Each kind is read by its own index, and no further than the bound.
SELECT now() AS time, subscription, state, count(*) AS count,
    coalesce(max(extract(epoch FROM now() - since)), 0)::float8 AS overdue
FROM (
    (SELECT subscription, state, due_at AS since FROM deliveries
    WHERE state IN ('pending', 'retrying') ORDER BY due_at LIMIT %(bound)s)
    UNION ALL
    (SELECT subscription, state, CASE WHEN state = 'queued' THEN queued_at
        ELSE started_at + make_interval(secs => %(time_limit)s) END FROM deliveries
    WHERE state IN ('queued', 'running') ORDER BY lease_until LIMIT %(bound)s)
    UNION ALL
    (SELECT subscription, state, NULL FROM deliveries
    WHERE state IN ('failed', 'uncertain') ORDER BY finished_at DESC LIMIT %(bound)s)
) AS counted
GROUP BY subscription, state
"""

_ERRORS: LiteralString = """
-- The newest error of each subscription, among the newest of the dead and the next that are tried again.
SELECT DISTINCT ON (subscription) subscription, last_error AS text, state, at FROM (
    (SELECT subscription, last_error, state, finished_at AS at FROM deliveries
    WHERE state IN ('failed', 'uncertain') ORDER BY finished_at DESC LIMIT 500)
    UNION ALL
    (SELECT subscription, last_error, state, started_at FROM deliveries
    WHERE state IN ('pending', 'retrying') ORDER BY due_at LIMIT 500)
) AS troubled
WHERE last_error IS NOT NULL AND at IS NOT NULL
ORDER BY subscription, at DESC
"""

_TIME: LiteralString = "SELECT now() AS time"

_KINDS: dict[DeliveryState, int] = {
    state: kind for kind, pair in enumerate((COUNTED[:2], COUNTED[2:4], COUNTED[4:])) for state in pair
}


@dataclass(slots=True)
class Backlog:
    """The deliveries of one subscription. `overdue`: seconds that the oldest is late."""

    states: dict[DeliveryState, Counted]
    overdue: float = 0.0


@dataclass(slots=True)
class Backlogs:
    """Those of every subscription that is declared or has deliveries, at `time`."""

    time: datetime
    by_subscription: dict[str, Backlog] = field(default_factory=dict)


async def backlogs(pool: Pool, bound: int = BOUND) -> Backlogs:
    """Count the deliveries of each subscription."""
    rows = await query(pool, _BACKLOG, {"bound": bound, "time_limit": TIME_LIMIT})
    time = rows[0]["time"] if rows else (await query(pool, _TIME, {}))[0]["time"]
    exact = _exact(rows, bound)
    names = [subscription.name for subscription in SUBSCRIPTIONS]
    names += sorted({row["subscription"] for row in rows} - set(names))
    found = Backlogs(time)
    for name in names:
        nothing = {state: Counted(count=0, exact=exact[_KINDS[state]]) for state in COUNTED}
        found.by_subscription[name] = Backlog(nothing)
    for row in rows:
        backlog = found.by_subscription[row["subscription"]]
        backlog.states[row["state"]].count = row["count"]
        backlog.overdue = max(backlog.overdue, row["overdue"])
    return found


async def last_errors(pool: Pool) -> dict[str, LastError]:
    """Return the newest error of each subscription that has one."""
    return {row.pop("subscription"): LastError.model_validate(row) for row in await query(pool, _ERRORS, {})}


def _exact(rows: Sequence[dict[str, Any]], bound: int) -> list[bool]:
    """Return whether every delivery of each kind was counted."""
    totals = [0, 0, 0]
    for row in rows:
        totals[_KINDS[row["state"]]] += row["count"]
    return [total < bound for total in totals]
