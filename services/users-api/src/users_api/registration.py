"""Register users: each with its event, its deliveries and the answer to its key, a whole group in one statement.

The answer never waits for an effect. Whatever reaches the client as 201 is committed with its event; what isn't
committed never happened.

Groups of several processes can't deadlock: each takes the addresses in order, and then the keys in order.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString

from contracts import Event, UserRegistered
from messaging.publishing import outbox
from users_api import PUBLISHER
from users_api.fields import email_key
from users_api.idempotency import fingerprint
from users_api.pool import Connection
from users_api.problems import Problem
from users_api.schemas import NewUser, Registered
from users_api.subjects import subject

_REGISTER: LiteralString = f"""
-- One row for each registration, with the id that its user gets if the address is free.
WITH request AS MATERIALIZED (
    SELECT *, nextval('users_id_seq') AS user_id
    FROM unnest(%(emails)b::text[], %(email_keys)b::text[], %(full_names)b::text[], %(times)b::timestamptz[],
        %(events)b::uuid[], %(envelopes)b::text[], %(keys)b::text[], %(fingerprints)b::text[], %(answers)b::text[])
        WITH ORDINALITY
        AS request (email, email_key, full_name, registered_at, event, envelope, key, fingerprint, answer, place)
), earlier AS (
    -- Registrations whose key was used before. (A key in use by another process makes the statement fail once.)
    SELECT place, stored.fingerprint, status, body
    FROM request JOIN (SELECT * FROM idempotency_keys WHERE key = ANY (%(keys)b)) AS stored USING (key)
), registered AS (
    -- The unique address decides between concurrent registrations.
    INSERT INTO users (id, email, email_key, full_name, created_at) OVERRIDING SYSTEM VALUE
    SELECT user_id, email, email_key, full_name, registered_at
    FROM request WHERE place NOT IN (SELECT place FROM earlier)
    ORDER BY email_key
    ON CONFLICT (email_key) DO NOTHING
    RETURNING id
), new_event AS (
    SELECT event AS id, %(type)s AS type, 'users/' || user_id AS subject,
        replace(envelope, %(unknown)s, user_id::text)::json AS envelope, NULL::timestamptz AS available_at
    FROM registered JOIN request ON user_id = registered.id
), {outbox.PUBLISH}, stored AS (
    INSERT INTO idempotency_keys (key, fingerprint, status, body)
    SELECT key, fingerprint, CASE WHEN registered.id IS NULL THEN 409 ELSE 201 END,
        (CASE WHEN registered.id IS NULL THEN %(taken)s ELSE replace(answer, %(unknown)s, user_id::text) END)::json
    FROM request LEFT JOIN registered ON user_id = registered.id
    WHERE key IS NOT NULL AND place NOT IN (SELECT place FROM earlier)
    ORDER BY key
)
SELECT registered.id, earlier.fingerprint, earlier.status, earlier.body, {outbox.WAKE}
FROM request LEFT JOIN registered ON user_id = registered.id LEFT JOIN earlier USING (place)
ORDER BY place
"""  # noqa: S608  # of literals

_UNKNOWN = secrets.randbits(62) | 1 << 61
"""Stands for a user's id in what is written before there is one; the statement puts the real one in its place. The
number can't be guessed, so no name contains it."""

TAKEN = "A user with this email address is already registered. Use another address."
KEY_REUSED = "This Idempotency-Key was used for another request. Use a new key for a new request."
_TAKEN = Problem(409, TAKEN).body


@dataclass(frozen=True, slots=True)
class Registration:
    """The content of one request. `key`: its Idempotency-Key, or None."""

    user: NewUser
    correlation_id: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body, as sent and as stored; `repeated`, if an earlier request got it first."""

    status: int
    body: dict[str, Any]
    repeated: bool = False


async def register(connection: Connection, registrations: Sequence[Registration]) -> list[Answer]:
    """Register a group of users, all of it or nothing, and return the answers in the same order.

    The connection is in autocommit, so that on return they are committed; or in a transaction of the caller's.

    Raises:
        psycopg.Error: nothing was done, unless the connection broke: then the outcome is unknown.
    """
    rows = await (await connection.execute(_REGISTER, _parameters(registrations), prepare=True)).fetchall()
    return [_answer(each, row) for each, row in zip(registrations, rows, strict=True)]


_MAY_NUMBER: LiteralString = """
-- Fail as a registration would if this role may not use the sequence; take no number if it may.
SELECT nextval('users_id_seq') WHERE NOT has_sequence_privilege('users_id_seq', 'USAGE, UPDATE')
"""


async def rehearse(connection: Connection) -> None:
    """Register no user; check that the tables, columns, unique keys and rights for it are there.

    Raises:
        psycopg.Error: the error that a registration would raise.
    """
    await register(connection, [])
    await connection.execute(_MAY_NUMBER)


def _parameters(registrations: Sequence[Registration]) -> dict[str, Any]:
    users = [each.user for each in registrations]
    events = [_event(each) for each in registrations]
    keyed = [(each.key, each.user) for each in registrations]
    return {
        "emails": [user.email for user in users],
        "email_keys": [email_key(user.email) for user in users],
        "full_names": [user.full_name for user in users],
        "times": [event.time for event in events],
        "events": [event.id for event in events],
        "envelopes": [event.model_dump_json() for event in events],
        "keys": [each.key for each in registrations],
        "fingerprints": [key and fingerprint(user.model_dump_json()) for key, user in keyed],
        "answers": [key and _body(user, _UNKNOWN).model_dump_json() for key, user in keyed],
        "type": UserRegistered.event_type,
        "taken": json.dumps(_TAKEN),
        "unknown": str(_UNKNOWN),
        **outbox.subscribed(),
    }


def _event(registration: Registration) -> Event[UserRegistered]:
    user, now = registration.user, datetime.now(UTC)
    data = UserRegistered(user_id=_UNKNOWN, email=user.email, full_name=user.full_name, registered_at=now)
    return Event.about(
        data, source=PUBLISHER, subject=subject(_UNKNOWN), correlation_id=registration.correlation_id, time=now
    )


def _body(user: NewUser, user_id: int) -> Registered:
    return Registered(id=user_id, email=user.email, full_name=user.full_name)


def _answer(registration: Registration, row: dict[str, Any]) -> Answer:
    if row["status"] is not None:
        if row["fingerprint"] != fingerprint(registration.user.model_dump_json()):
            return Answer(422, Problem(422, KEY_REUSED).body)
        return Answer(row["status"], row["body"], repeated=True)
    if row["id"] is None:
        return Answer(409, _TAKEN)
    return Answer(201, _body(registration.user, row["id"]).model_dump())
