"""Register a user: the user, the event and its deliveries, in one transaction, and nothing else.

The answer never waits for an effect. Whatever reaches the client as 201 is committed with its event; what isn't
committed never happened.
"""

from typing import LiteralString

from contracts import Event, UserRegistered
from messaging import publish
from users_api.database import Connection
from users_api.schemas import NewUser, Registered

_INSERT: LiteralString = """
-- The unique key decides between concurrent registrations of one address.
INSERT INTO users (email, email_key, full_name) VALUES (%(email)s, %(email_key)s, %(full_name)s)
ON CONFLICT (email_key) DO NOTHING
RETURNING id, created_at
"""


class EmailTaken(Exception):
    """A user with this email address is already registered. Use another address."""


async def register(connection: Connection, new: NewUser, correlation_id: str) -> Registered:
    """Register a user in the caller's transaction.

    Raises:
        EmailTaken: the address is registered, in whatever case; the transaction is still good.
    """
    given = {"email": new.email, "email_key": new.email.casefold(), "full_name": new.full_name}
    row = await (await connection.execute(_INSERT, given)).fetchone()
    if row is None:
        raise EmailTaken(EmailTaken.__doc__)
    user = UserRegistered(user_id=row["id"], email=new.email, full_name=new.full_name, registered_at=row["created_at"])
    event = Event.about(user, source="users-api", subject=subject(row["id"]), correlation_id=correlation_id)
    await connection.execute(*publish([event]))
    return Registered(id=row["id"], email=new.email, full_name=new.full_name)


def subject(user_id: int) -> str:
    """Name a user as the subject of events."""
    return f"users/{user_id}"
