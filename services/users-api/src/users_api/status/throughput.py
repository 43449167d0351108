"""How many deliveries were moved in the last hour, and how long they took: from the table `delivery_counts`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

from messaging.publishing.counts import BOUNDS
from users_api.database import query
from users_api.pool import Pool
from users_api.status.schemas import Minute, Moves

_HOUR: LiteralString = """
-- The sixty minutes up to this one, over all threads of all relays.
SELECT minute, subscription, state, bucket, sum(count)::bigint AS count, sum(lag)::float8 AS lag
FROM delivery_counts
WHERE minute > date_trunc('minute', now()) - interval '1 hour'
GROUP BY minute, subscription, state, bucket
ORDER BY minute
"""


@dataclass(slots=True)
class _Sum:
    """Moves that are added up. `buckets`: how many succeeded, by bucket of their lag."""

    states: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)
    lag: float = 0.0

    def add(self, row: dict[str, Any]) -> None:
        self.states[row["state"]] += row["count"]
        if row["bucket"]:
            self.buckets[row["bucket"]] += row["count"]
            self.lag += row["lag"]

    def values(self) -> dict[str, Any]:
        """Return the fields of Moves."""
        timed = self.buckets.total()
        return {
            "succeeded": self.states["succeeded"],
            "failed": self.states["failed"],
            "uncertain": self.states["uncertain"],
            "retried": self.states["retrying"],
            "lag_mean": self.lag / timed if timed else None,
            "lag_median": quantile(self.buckets, 0.5),
            "lag_p95": quantile(self.buckets, 0.95),
        }


@dataclass(slots=True)
class Throughput:
    """The last hour of a subscription. `last_success`: the newest minute in which one succeeded."""

    hour: Moves
    minutes: list[Minute]
    last_success: datetime | None


async def last_hour(pool: Pool) -> dict[str, Throughput]:
    """Return the last hour of each subscription of which a delivery was moved."""
    by_subscription: dict[str, list[dict[str, Any]]] = {}
    for row in await query(pool, _HOUR, {}):
        by_subscription.setdefault(row["subscription"], []).append(row)
    return {subscription: _throughput(rows) for subscription, rows in by_subscription.items()}


def _throughput(rows: Iterable[dict[str, Any]]) -> Throughput:
    hour = _Sum()
    by_minute: dict[datetime, _Sum] = {}
    for row in rows:
        hour.add(row)
        by_minute.setdefault(row["minute"], _Sum()).add(row)
    minutes = [Minute(minute=minute, **moves.values()) for minute, moves in by_minute.items()]
    successes = [minute.minute for minute in minutes if minute.succeeded]
    return Throughput(Moves(**hour.values()), minutes, successes[-1] if successes else None)


def quantile(buckets: Counter[int], share: float) -> float | None:
    """Return the upper bound of the bucket that a share of all lags doesn't exceed; None, if the bucket has none."""
    rank, seen = share * buckets.total(), 0
    for bucket, bound in enumerate(BOUNDS, 1):
        seen += buckets[bucket]
        if seen and seen >= rank:
            return bound
    return None
