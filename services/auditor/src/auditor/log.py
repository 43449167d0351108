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
-- A page of entries after one, oldest first.
SELECT id, event_id, action, email, user_id, correlation_id, occurred_at, recorded_at
FROM audit_log WHERE id > %(after)s ORDER BY id LIMIT %(page)s
"""

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `occurred_at`: when the event happened; `recorded_at`: when it was written here."""

    id: int
    event_id: UUID
    action: str
    email: str
    user_id: int
    correlation_id: str
    occurred_at: datetime
    recorded_at: datetime


def entries(database_url: str) -> Iterator[Entry]:
    """Yield every entry, in the order in which they were written."""
    with connect(database_url, name="log", row_factory=class_row(Entry)) as connection:
        yield from _after(connection, 0)


def follow(database_url: str, *, every: float = 0.5) -> Iterator[Entry]:
    """Yield every entry, then new ones as they are committed, for ever; each once, even when ids commit late."""
    seen: set[int] = set()
    settled = 0
    with connect(database_url, name="log", row_factory=class_row(Entry)) as connection:
        while True:
            for entry in _after(connection, settled):
                if entry.id not in seen:
                    seen.add(entry.id)
                    yield entry
            settled = max(settled, max(seen, default=0) - PAGE)
            seen = {each for each in seen if each > settled}
            time.sleep(every)


def _after(connection: psycopg.Connection[Entry], after: int) -> Iterator[Entry]:
    while page := connection.execute(_AFTER, {"after": after, "page": PAGE}).fetchall():
        yield from page
        after = page[-1].id
