"""Report unfinished deliveries that no loop of this relay touches: those of a subscription that it doesn't know.

They stay as they are. Either a newer relay is being deployed beside this one, which knows the subscription, or it was
renamed or removed while deliveries were unfinished.
"""

from collections.abc import Sequence
from typing import LiteralString

import structlog

from contracts import EventData, Subscription
from messaging.process.database import Pool

HINT = "deploy a relay that knows this subscription, or cancel its deliveries"

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_UNKNOWN: LiteralString = """
-- Count the unfinished deliveries of subscriptions other than these. The two indexes of what is unfinished find them.
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
    """Reports each subscription once, and again if it comes back after all its deliveries were finished."""

    def __init__(self, pool: Pool, subscriptions: Sequence[Subscription[EventData]]) -> None:
        self._pool = pool
        self._names = [each.name for each in subscriptions]
        self._reported: set[str] = set()

    def report(self) -> None:
        """Look once."""
        with self._pool.connection() as connection:
            counts: dict[str, int] = dict(connection.execute(_UNKNOWN, {"names": self._names}).fetchall())
        for subscription in counts.keys() - self._reported:
            log.warning("subscription.unknown", subscription=subscription, count=counts[subscription], hint=HINT)
        self._reported = set(counts)
