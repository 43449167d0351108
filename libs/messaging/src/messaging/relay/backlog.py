"""Count what is unfinished, failed or uncertain, once a minute; report subscriptions that this relay doesn't know.

The count reads three partial indexes whole: about a second for a million deliveries. So no page can do it, and the
relay keeps the result in the table `backlog` for them. The last relay that has counted wins.

No loop of this relay moves deliveries of a subscription that it doesn't know. Either a newer relay that knows the
subscription is being deployed beside this one, or the subscription was renamed or removed while deliveries were
unfinished.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, LiteralString

import structlog

from contracts import EventData, Subscription
from messaging.process.database import Pool
from messaging.publishing.states import UNFINISHED

HINT = "deploy a relay that knows this subscription, or cancel its deliveries"

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_COUNT: LiteralString = """
-- Count by subscription and state. `oldest`: the earliest time at which one was due or queued, or ended.
WITH counted AS (
    SELECT subscription, state, count(*) AS count, min(due_at) AS oldest FROM deliveries
    WHERE state IN ('pending', 'retrying') GROUP BY subscription, state
    UNION ALL
    SELECT subscription, state, count(*), min(queued_at) FROM deliveries
    WHERE state IN ('queued', 'running') GROUP BY subscription, state
    UNION ALL
    SELECT subscription, state, count(*), min(finished_at) FROM deliveries
    WHERE state IN ('failed', 'uncertain') GROUP BY subscription, state
)
INSERT INTO backlog (counted_at, counts)
SELECT now(), coalesce(jsonb_agg(counted ORDER BY subscription, state), '[]') FROM counted
ON CONFLICT (is_only) DO UPDATE SET counted_at = excluded.counted_at, counts = excluded.counts
RETURNING counts
"""


class BacklogCounter:
    """Counts. Logs each unknown subscription once, and again if it has unfinished deliveries after a round without."""

    def __init__(self, pool: Pool, subscriptions: Sequence[Subscription[EventData]]) -> None:
        self._pool = pool
        self._names = {subscription.name for subscription in subscriptions}
        self._reported: set[str] = set()

    def count(self) -> None:
        """Count once, and log what is new."""
        with self._pool.connection() as connection:
            row = connection.execute(_COUNT).fetchone()
        unknown = self._unknown(row[0] if row else [])
        for subscription in sorted(unknown.keys() - self._reported):
            log.warning("subscription.unknown", subscription=subscription, count=unknown[subscription], hint=HINT)
        self._reported = set(unknown)

    def _unknown(self, counts: list[dict[str, Any]]) -> Counter[str]:
        """Return how many unfinished deliveries each subscription has that this relay doesn't know."""
        unknown: Counter[str] = Counter()
        for each in counts:
            if each["state"] in UNFINISHED and each["subscription"] not in self._names:
                unknown[each["subscription"]] += each["count"]
        return unknown
