"""Forget what is over, so that tables and Redis stay as small as what isn't.

An event goes with all its deliveries, or stays with all of them. It stays, however old, while any delivery has neither
succeeded nor been cancelled. It is looked at twice. The first look (PAGE) finds what is over and locks nothing. Then
those events are locked (TAKE), which no new delivery gets past: inserting one locks its event too. What was inserted
before that is seen by the second look (DELETE), which is a statement of its own because only a new statement sees what
was committed since. That is enough, because a delivery that is over is made due again only by an operator, whose
statement locks its event too.

Housekeeping waits for no event that another transaction has locked, so several relays may do it.
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
from messaging.relay.receipt_reader import forget_readers

LIMIT = 1_000
"""Rows that one statement deletes at most: a few dozen milliseconds."""

KEPT_LIMIT = 100_000
"""Old events that one round looks at and keeps, as they aren't over, before it leaves the rest to the next round."""

RELAY_GONE = 3600.0
"""Seconds of silence after which the name of a relay is removed. A relay that comes back is named anew."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_PAGE: LiteralString = """
-- The next old events from a place on, oldest first, and which of them are over. The subquery is lateral so that it is
-- asked by key for each event of the page, and never for all.
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
) AS found
ORDER BY recorded_at, id
"""

_TAKE: LiteralString = """
-- Lock these events against new deliveries; an event that is locked already is left to another round.
SELECT id FROM events WHERE id = ANY (%(ids)s) FOR UPDATE SKIP LOCKED
"""

_DELETE: LiteralString = """
-- Look again, now that nothing can be added, and delete what is still over.
DELETE FROM events
WHERE id = ANY (%(ids)s) AND NOT EXISTS (
    SELECT FROM deliveries
    WHERE event_id = events.id
        AND (state IN ('succeeded', 'cancelled') AND finished_at < now() - %(retention)s) IS NOT TRUE
)
"""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is over is kept, and what there is beside events.

    `statements`: the service's own, each by the name of what it deletes. One deletes up to `%(limit)s` rows, given
    `%(retention)s` (an interval), and is repeated for as long as it deletes that many.
    """

    period: timedelta = timedelta(days=30)
    statements: Mapping[str, LiteralString] = field(default_factory=dict)


Place = tuple[datetime | str, UUID]
START: Place = ("-infinity", UUID(int=0))


class Housekeeper:
    """Removes what is over. `stop`: when set, a round ends with the batch in hand."""

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
        """Do one round, and say what was removed, if anything was."""
        removed: Counter[str] = Counter()
        try:
            for name, count in self._batches():
                removed[name] += count
                if self._stop.is_set():
                    break
        finally:
            if removed.total():
                log.info("history.removed", **removed)

    def _batches(self) -> Iterator[tuple[str, int]]:
        for count in self._events():
            yield "events", count
        for name, statement in self._retention.statements.items():
            for count in self._rows(statement):
                yield name, count
        yield "relays", self._relays()

    def _events(self) -> Iterator[int]:
        """Look at old events page by page, from where the last round stopped."""
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
