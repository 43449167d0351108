"""Idempotency-Key: a client that didn't hear the answer asks again and gets the same one.

The answer is stored in the transaction that it tells of, so there is none without its effect and no effect
without it. It is repeated for a day. Source: draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg.types.json import Json

from users_api.database import Connection
from users_api.problems import Problem

_LOCK: LiteralString = """
-- One request for each key at a time; the lock goes with the transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended(%(key)s, 0)) AS locked
"""

_FIND: LiteralString = "SELECT fingerprint, status, body FROM idempotency_keys WHERE key = %(key)s"

_STORE: LiteralString = """
INSERT INTO idempotency_keys (key, fingerprint, status, body) VALUES (%(key)s, %(fingerprint)s, %(status)s, %(body)s)
"""

FORGET: LiteralString = """
-- Forget answers after a day, or sooner if nothing is kept for so long. For the relay's housekeeping.
DELETE FROM idempotency_keys WHERE key = ANY (ARRAY(
    SELECT key FROM idempotency_keys WHERE created_at < now() - least(interval '1 day', %(retention)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body, as sent and as stored; `repeated`, if an earlier request got it first."""

    status: int
    body: dict[str, Any]
    repeated: bool = False


async def answer_once(
    connection: Connection, key: str | None, request: str, answer: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Answer a request, or repeat the answer that its key got before. `request`: all that must be the same.

    Raises:
        Problem: 409 while a request with this key is running, 422 if the key was used for another request.
    """
    if key is None:
        return await answer()
    given = {"key": key, "fingerprint": hashlib.sha256(request.encode()).hexdigest()}
    await _lock(connection, given)
    earlier = await (await connection.execute(_FIND, given)).fetchone()
    if earlier is None:
        new = await answer()
        await connection.execute(_STORE, given | {"status": new.status, "body": Json(new.body)})
        return new
    if earlier["fingerprint"] != given["fingerprint"]:
        raise Problem(422, "This Idempotency-Key was used for another request. Use a new key for a new request.")
    return Answer(earlier["status"], earlier["body"], repeated=True)


async def _lock(connection: Connection, given: dict[str, str]) -> None:
    row = await (await connection.execute(_LOCK, given)).fetchone()
    if not row or not row["locked"]:
        raise Problem(409, "A request with this Idempotency-Key is still running. Wait for it, then ask again.")
