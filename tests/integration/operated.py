"""What the tests of operations share: requesting them, and carrying them out."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from messaging.process.database import Pool
from messaging.publishing import bulk
from messaging.publishing.bulk import Action, eligible, meant, requesting
from messaging.publishing.filtering import Filter
from messaging.relay.operate import Operator

from .searched import NOW, read, write

MINUTE = timedelta(minutes=1)
LONG_AGO = NOW - timedelta(days=365)


def request(pool: Pool, action: Action, **fields: Any) -> int:
    """Request an operation, and return its id."""
    chosen = meant(action, Filter(**fields))
    number = read(pool, eligible(action, chosen))
    with pool.connection() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        row = cursor.execute(bulk.REQUEST, requesting(action, chosen, "ada", number)).fetchone()
    assert row is not None
    return int(row["id"])


def shown(pool: Pool, number: int) -> dict[str, Any]:
    with pool.connection() as connection:
        row = connection.cursor(row_factory=dict_row).execute(bulk.ONE, {"id": number}).fetchone()
    assert row is not None
    return row


def finish(operator: Operator) -> int:
    """Carry out all operations, and return in how many chunks."""
    chunks = 0
    while operator.operate():
        chunks += 1
    return chunks


def execute(pool: Pool, statement: str, *values: object) -> None:
    with pool.connection() as connection:
        connection.execute(statement.encode(), values)


def fail(pool: Pool, number: int, **more: Any) -> list[UUID]:
    return [write(pool, index, "failed", "550 no", **more) for index in range(number)]


def operation_ids(pool: Pool) -> list[Any]:
    with pool.connection() as connection:
        return connection.execute("SELECT id FROM operations").fetchall()
