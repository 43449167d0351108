"""What the tests of confirmations share: confirming a delivery, and looking at what became of it."""

from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from messaging.process.database import Pool
from messaging.publishing import confirming
from users_api import PUBLISHER

Answer = tuple[int, str] | None
"""How many deliveries moved, and the state in which it was; None, if there is none."""


def confirm(pool: Pool, event_id: UUID, by: str | None = "ada", *, subscription: str = "audit_log") -> Answer:
    """Confirm a delivery of an event."""
    with pool.connection() as connection:
        return confirm_on(connection, event_id, by, subscription=subscription)


def confirm_on(
    connection: Connection[Any], event_id: UUID, by: str | None = "ada", *, subscription: str = "audit_log"
) -> Answer:
    parameters = confirming.confirming([(event_id, subscription)], source=PUBLISHER, by=by)
    row = connection.execute(confirming.CONFIRM, parameters).fetchone()
    return row and row[:2]


def rows(pool: Pool, query: str, *values: object) -> list[dict[str, Any]]:
    with pool.connection() as connection:
        return connection.cursor(row_factory=dict_row).execute(query.encode(), values).fetchall()


def decisions(pool: Pool) -> list[dict[str, Any]]:
    """Return the events that say what operators have confirmed, with the states of their deliveries."""
    query = (
        "SELECT envelope, subject, subscription, state, due_at <= now() AS is_due"
        " FROM events LEFT JOIN deliveries ON event_id = id WHERE type = 'effect_confirmed' ORDER BY id"
    )
    return rows(pool, query)


def delivery(pool: Pool, event_id: UUID, subscription: str = "audit_log") -> dict[str, Any]:
    query = "SELECT * FROM deliveries WHERE event_id = %s AND subscription = %s"
    [row] = rows(pool, query, event_id, subscription)
    return row


def waits(pool: Pool) -> bool:
    """Return whether a statement waits for a lock."""
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return rows(pool, query) != []
