"""What the tests of searches and operations share: deliveries in any state, and a reading executed at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from psycopg.rows import dict_row
from tests.conftest import user_registered

from contracts import Event, UserRegistered
from messaging import publish
from messaging.process.database import Pool
from messaging.publishing.filtering import id_at
from messaging.publishing.searching import Reading
from messaging.publishing.states import DUE, FINAL, IN_FLIGHT

T = TypeVar("T")

NOW = datetime.now(UTC).replace(microsecond=0)


def read(pool: Pool, reading: Reading[T]) -> T:
    """Execute a reading."""
    try:
        statement, parameters = next(reading)
        while True:
            with pool.connection() as connection:
                connection.execute("SET enable_seqscan = off")
                rows = connection.cursor(row_factory=dict_row).execute(statement, parameters).fetchall()
            statement, parameters = reading.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result


def made_at(index: int, time: datetime) -> Event[UserRegistered]:
    """Return an event about user `index`, made at a time."""
    return user_registered(index).model_copy(update={"id": UUID(int=id_at(time).int + index)})


def write(  # noqa: PLR0913  # most have defaults
    pool: Pool,
    index: int,
    state: str,
    error: str | None = None,
    *,
    subscription: str = "audit_log",
    ago: timedelta = timedelta(0),
    ended: timedelta = timedelta(seconds=1),
    now: datetime = NOW,
) -> UUID:
    """Write an event about user `index`, made some time ago, whose delivery is in a state since it `ended`."""
    event = made_at(index, now - ago)
    with pool.connection() as connection, connection.transaction():
        connection.execute(*publish([event]))
        connection.execute(
            "UPDATE deliveries SET state = %(state)s, last_error = %(error)s, attempts = 3,"
            " due_at = CASE WHEN %(due)s THEN now() + interval '1 hour' END,"
            " lease_until = CASE WHEN %(leased)s THEN now() + interval '1 hour' END,"
            " started_at = now() - %(ended)s, finished_at = CASE WHEN %(final)s THEN now() - %(ended)s END,"
            " created_at = now() - %(ended)s"
            " WHERE event_id = %(event)s AND subscription = %(subscription)s",
            {
                "state": state,
                "error": error,
                "due": state in DUE,
                "leased": state in IN_FLIGHT,
                "final": state in FINAL,
                "ended": ended,
                "event": event.id,
                "subscription": subscription,
            },
        )
    return event.id


def states_of(pool: Pool, ids: Sequence[UUID], subscription: str = "audit_log") -> list[tuple[str, int]]:
    """Return state and generation of deliveries, in the order of the ids."""
    with pool.connection() as connection:
        rows: dict[Any, tuple[str, int]] = {
            row[0]: (row[1], row[2])
            for row in connection.execute(
                "SELECT event_id, state, generation FROM deliveries WHERE subscription = %s", (subscription,)
            )
        }
    return [rows[event_id] for event_id in ids]


def write_recent(pool: Pool, index: int, state: str, error: str | None = None, **more: Any) -> UUID:
    """Write as `write` does, for tests that ask for the last minutes: NOW is when the run of all tests began."""
    return write(pool, index, state, error, now=datetime.now(UTC).replace(microsecond=0), **more)
