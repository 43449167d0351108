"""Another producer: it writes users and events beside the API, as the outbox allows anyone."""

from psycopg import Connection
from psycopg.rows import TupleRow

from contracts import Event, UserRegistered
from messaging import publish
from users_api import PUBLISHER


def insert_user(
    connection: Connection[TupleRow],
    email: str,
    version: type[UserRegistered] = UserRegistered,
    *,
    publisher: str = PUBLISHER,
    **more: str,
) -> int:
    """Write a user and the event, as another producer would, and leave the transaction open."""
    insert = "INSERT INTO users (email, email_key, full_name) VALUES (%s, %s, 'Late') RETURNING id, created_at"
    row = connection.execute(insert, (email, email)).fetchone()
    assert row is not None  # noqa: S101  # RETURNING
    data = version(user_id=row[0], email=email, full_name="Late", registered_at=row[1], **more)
    event = Event.about(data, source=publisher, subject=f"users/{row[0]}", correlation_id="chaos")
    connection.execute(*publish([event]))
    return int(row[0])
