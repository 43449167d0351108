"""What users-api's outbox holds is the golden message, but for its id and times. tests/contract has the consumers."""

import asyncio
import json
import re

import psycopg
from psycopg.rows import dict_row
from tests.contract.goldens import golden

from contracts import UserRegistered, decode
from users_api.pool import Connection
from users_api.registration import Registration, register
from users_api.schemas import NewUser

GOLDEN = golden("user_registered")

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
RFC3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


def written_by_users_api(database_url: str) -> str:
    """Register the golden's user, and return the envelope as PostgreSQL holds it."""
    new = NewUser(email=GOLDEN["data"]["email"], full_name=GOLDEN["data"]["full_name"])

    async def registering() -> None:
        connection: Connection
        async with await psycopg.AsyncConnection.connect(database_url, row_factory=dict_row) as connection:
            await register(connection, [Registration(new, GOLDEN["correlationid"])])

    asyncio.run(registering())
    with psycopg.connect(database_url) as connection:
        [(envelope,)] = connection.execute("SELECT envelope::text FROM events").fetchall()
    return str(envelope)


def test_users_api_writes_exactly_the_golden(users_database: str) -> None:
    written = json.loads(written_by_users_api(users_database))

    assert UUID7.fullmatch(written["id"])
    assert RFC3339_UTC.fullmatch(written["time"])
    assert RFC3339_UTC.fullmatch(written["data"]["registered_at"])
    pinned = written | {"id": GOLDEN["id"], "time": GOLDEN["time"]}
    pinned["data"] = written["data"] | {"registered_at": GOLDEN["data"]["registered_at"]}
    assert json.dumps(pinned) == json.dumps(GOLDEN), "names, order, types and values"


def test_a_consumer_reads_what_users_api_writes(users_database: str) -> None:
    event = decode(json.loads(written_by_users_api(users_database)), UserRegistered)

    assert (event.subject, event.data.user_id, event.data.email) == ("users/1", 1, GOLDEN["data"]["email"])
