"""Delete events whose deliveries are over, so that the size of tables and Redis depends on unfinished work alone.

An event is deleted with all its deliveries, or kept with all of them. It is kept, however old, while any of its
deliveries has neither succeeded nor been cancelled. Each event is checked twice:
1. PAGE finds events that are over, and locks nothing.
2. TAKE locks them. From here on no delivery can be added, because inserting one locks its event too.
3. DELETE checks again, and so sees deliveries that were inserted before the lock. It is a statement of its own, because
   only a new statement sees what has been committed since.
Nothing else can interfere: only an operator makes a delivery due again that is over, and that statement locks the event
too.

Housekeeping skips events that another transaction has locked, so several relays may do it at once.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import redis
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from messaging.process.database import Pool
from messaging.publishing import bulk, counts, schedules
from messaging.relay.receipt_reader import forget_readers

LIMIT = 1_000
"""The most rows that one statement deletes, which takes a few dozen milliseconds."""

KEPT_LIMIT = 100_000
"""After a round has checked this many old events that aren't over, it leaves the rest to the next round."""

RELAY_GONE = 3600.0
"""Seconds without a read after which a relay's name is removed from Redis. Redis adds it again if the relay returns."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_PAGE: LiteralString = """
-- Return the next old events after a place, oldest first, and which of them are over. The subquery is lateral so that
-- it runs by key for each event of the page, and never for all events.
SELECT id, recorded_at, unfinished = 0 AND available_at < now() - %(retention)s AS over
FROM (
    SELECT id, recorded_at, available_at FROM events
    WHERE (recorded_at, id) > (%(recorded_at)s, %(id)s) AND recorded_at < now() - %(retention)s
    ORDER BY recorded_at, id
    LIMIT %(limit)s
) AS page CROSS JOIN LATERAL (
    SELECT count(*) FILTER (
        WHERE (state IN ('succeeded', 'cancelled') AND finished_at < now() - %(retention)s) IS NOT TRUE) AS unfinished
    FROM deliveries WHERE event_id = page.id
) AS counted
ORDER BY recorded_at, id
"""

_TAKE: LiteralString = """
-- Lock these events against new deliveries, except those that another transaction has locked.
SELECT id FROM events WHERE id = ANY (%(ids)s) FOR UPDATE SKIP LOCKED
"""

_DELETE: LiteralString = """
-- Check again, now that no delivery can be added, and delete the events that are still over.
DELETE FROM events
WHERE id = ANY (%(ids)s) AND NOT EXISTS (
    SELECT FROM deliveries
    WHERE event_id = events.id
        AND (state IN ('succeeded', 'cancelled') AND finished_at < now() - %(retention)s) IS NOT TRUE
)
"""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long events that are over are kept, and what else to delete.

    `statements`: the service's own, each by the name of what it deletes. A statement deletes up to `%(limit)s` rows
    that are older than `%(retention)s` (an interval). It is repeated as long as it deletes that many.
    """

    period: timedelta = timedelta(days=30)
    statements: Mapping[str, LiteralString] = field(default_factory=dict)


Place = tuple[datetime | str, UUID]
START: Place = ("-infinity", UUID(int=0))


class Housekeeper:
    """Deletes what is over. `stop`: when set, a round ends after its current batch.

    `limit`, `kept_limit`, `relay_gone`: see LIMIT, KEPT_LIMIT and RELAY_GONE.
    """

    def __init__(  # noqa: PLR0913  # the limits have defaults
        self,
        pool: Pool,
        client: redis.Redis,
        retention: Retention,
        stop: threading.Event,
        publisher: str,
        *,
        limit: int = LIMIT,
        kept_limit: int = KEPT_LIMIT,
        relay_gone: float = RELAY_GONE,
    ) -> None:
        self._pool = pool
        self._redis = client
        self._publisher = publisher
        self._retention = retention
        self._stop = stop
        self._limit = limit
        self._kept_limit = kept_limit
        self._relay_gone = relay_gone
        self._place = START

    def tidy(self) -> None:
        """Do one round, and log what was removed, if anything was."""
        removed: Counter[str] = Counter()
        try:
            for name, count in self._batches():
                removed[name] += count
                if self._stop.is_set():
                    break
        finally:
            if removed.total():
                log.info("history.removed", **+removed)

    def _batches(self) -> Iterator[tuple[str, int]]:
        for count in self._events():
            yield "events", count
        statements = {
            "schedule_slots": schedules.FORGET,
            "delivery_counts": counts.FORGET,
            "operations": bulk.FORGET,
            **self._retention.statements,
        }
        for name, statement in statements.items():
            for count in self._rows(statement):
                yield name, count
        yield "relays", self._relays()

    def _events(self) -> Iterator[int]:
        """Check old events page by page, from where the last round stopped; yield how many each page lost."""
        kept = 0
        while kept < self._kept_limit:
            page = self._page()
            removed = self._remove([event_id for event_id, _, over in page if over])
            kept += len(page) - removed
            yield removed
            if len(page) < self._limit:
                self._place = START
                break
            self._place = page[-1][1], page[-1][0]

    def _page(self) -> list[tuple[UUID, datetime, bool]]:
        recorded_at, event_id = self._place
        with self._pool.connection() as connection:
            return connection.execute(_PAGE, self._parameters(recorded_at=recorded_at, id=event_id)).fetchall()

    def _remove(self, ids: list[UUID]) -> int:
        if not ids:
            return 0
        with self._pool.connection() as connection, connection.transaction():
            return connection.execute(_DELETE, self._parameters(ids=self._take(connection, ids))).rowcount

    def _take(self, connection: Connection[TupleRow], ids: list[UUID]) -> list[UUID]:
        return [event_id for (event_id,) in connection.execute(_TAKE, {"ids": ids})]

    def _rows(self, statement: LiteralString) -> Iterator[int]:
        count = self._limit
        while count == self._limit:
            with self._pool.connection() as connection:
                count = connection.execute(statement, self._parameters()).rowcount
            yield count

    def _relays(self) -> int:
        with suppress(redis.ConnectionError, redis.TimeoutError):  # the other loops report that Redis is away
            return forget_readers(self._redis, self._publisher, idle=self._relay_gone)
        return 0

    def _parameters(self, **more: Any) -> dict[str, Any]:
        return {"retention": self._retention.period, "limit": self._limit, **more}
