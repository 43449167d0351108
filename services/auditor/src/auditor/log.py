"""Read the audit log."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from messaging.process.database import connect

_AFTER: LiteralString = """
-- Return a page of the entries after an id, oldest first.
SELECT id, event_id, action, email, user_id, correlation_id, occurred_at, recorded_at
FROM audit_log WHERE id > %(after)s ORDER BY id LIMIT %(page)s
"""

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log. `occurred_at`: when the event happened. `recorded_at`: when the row was written.

    `email`, `user_id`: None, if they were erased.
    """

    id: int
    event_id: UUID
    action: str
    email: str | None
    user_id: int | None
    correlation_id: str
    occurred_at: datetime
    recorded_at: datetime


def entries(database_url: str) -> Iterator[Entry]:
    """Yield all entries, in the order of their ids."""
    with connect(database_url, name="log", row_factory=class_row(Entry)) as connection:
        yield from _after(connection, 0)


def follow(database_url: str, *, every: float = 0.5) -> Iterator[Entry]:
    """Yield all entries, then new ones as they are committed, for ever. Looks every `every` seconds.

    Each entry comes once. Transactions may commit in another order than that of their ids, so each look goes back over
    the last PAGE ids.
    """
    seen: set[int] = set()
    start = 0
    with connect(database_url, name="log", row_factory=class_row(Entry)) as connection:
        while True:
            for entry in _after(connection, start):
                if entry.id not in seen:
                    seen.add(entry.id)
                    yield entry
            start = max(start, max(seen, default=0) - PAGE)
            seen = {entry_id for entry_id in seen if entry_id > start}
            time.sleep(every)


def _after(connection: psycopg.Connection[Entry], after: int) -> Iterator[Entry]:
    while page := connection.execute(_AFTER, {"after": after, "page": PAGE}).fetchall():
        yield from page
        after = page[-1].id
