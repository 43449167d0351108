"""Report unfinished deliveries of subscriptions that this relay doesn't know. No loop of this relay moves them.

Either a newer relay that knows the subscription is being deployed beside this one, or the subscription was renamed or
removed while deliveries were unfinished.
"""

from collections.abc import Sequence
from typing import LiteralString

import structlog

from contracts import EventData, Subscription
from messaging.process.database import Pool

HINT = "deploy a relay that knows this subscription, or cancel its deliveries"

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_UNKNOWN: LiteralString = """
-- Count the unfinished deliveries of subscriptions other than these. Each half uses a partial index.
SELECT subscription, sum(number)::int FROM (
    SELECT subscription, count(*) AS number FROM deliveries
    WHERE state IN ('pending', 'retrying') AND subscription <> ALL (%(names)s) GROUP BY subscription
    UNION ALL
    SELECT subscription, count(*) FROM deliveries
    WHERE state IN ('queued', 'running') AND subscription <> ALL (%(names)s) GROUP BY subscription
) AS unfinished
GROUP BY subscription
ORDER BY subscription
"""


class UnknownSubscriptions:
    """Logs each unknown subscription once, and again if it has unfinished deliveries after a round without any."""

    def __init__(self, pool: Pool, subscriptions: Sequence[Subscription[EventData]]) -> None:
        self._pool = pool
        self._names = [subscription.name for subscription in subscriptions]
        self._reported: set[str] = set()

    def report(self) -> None:
        """Look once, and log what is new."""
        with self._pool.connection() as connection:
            counts: dict[str, int] = dict(connection.execute(_UNKNOWN, {"names": self._names}).fetchall())
        for subscription in counts.keys() - self._reported:
            log.warning("subscription.unknown", subscription=subscription, count=counts[subscription], hint=HINT)
        self._reported = set(counts)
