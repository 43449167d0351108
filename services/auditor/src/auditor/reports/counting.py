"""Count the registrations of each day. A million rows pass through in pages, so memory doesn't grow with the log."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

import structlog
from psycopg import Connection

_PAGE: LiteralString = """
-- Return when the next registrations in the log happened, by their ids.
SELECT id, occurred_at FROM audit_log
WHERE id > %(after)s AND action = 'user_registered'
ORDER BY id
LIMIT %(limit)s
"""

PAGE = 5_000
"""A page takes milliseconds. Between two pages the worker's time limit takes effect."""

PROGRESS = 100_000
"""After each PROGRESS rows a line of the log shows that the work goes on."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("reports")


def registrations_by_day(connection: Connection[Any], until: datetime, zone: ZoneInfo) -> dict[date, int]:
    """Count the registrations before `until` by the days of a zone, from the first to the last day without a gap."""
    days: Counter[date] = Counter()
    read = 0
    for page in _pages(connection):
        days.update(time.astimezone(zone).date() for _, time in page if time < until)
        read += len(page)
        if read % PROGRESS < len(page):
            log.info("report.progressed", rows=read)
    if not days:
        return {}
    first, last = min(days), until.astimezone(zone).date()
    return {(day := first + timedelta(days=number)): days[day] for number in range((last - first).days + 1)}


def _pages(connection: Connection[Any]) -> Iterator[list[tuple[int, datetime]]]:
    after = 0
    while page := connection.execute(_PAGE, {"after": after, "limit": PAGE}).fetchall():
        yield page
        after = page[-1][0]
