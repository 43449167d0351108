"""Erase a person's data from the log, so that the chain still verifies, and an erasure can be told from tampering.

One transaction removes email, user id and salts, writes a row that names the rows, and seals it. The commitments stay:
without their salts nothing can be guessed from them.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Connection

from auditor.chain import hashing
from auditor.chain.hashing import HASH_BYTES, NO_SALT, SALT_BYTES
from auditor.chain.rows import Row, RowDoubled, read_single_rows
from auditor.chain.sealing import seal_all, try_seal
from auditor.chain.seals import read_head
from messaging.errors import MessagingError

ACTION = "personal_data_erased"

_OF_USER: LiteralString = """
-- Find a user's rows, and count their addresses.
SELECT coalesce(array_agg(id ORDER BY id), '{}'), count(DISTINCT email) FROM audit_log WHERE user_id = %(user_id)s
"""

_SEALS: LiteralString = """
-- Find the seals that cover rows.
SELECT seal, row_ids, leaves, salts FROM audit_seals WHERE row_ids && %(ids)s::bigint[]
"""

_ERASE: LiteralString = """
-- Remove personal data, and keep what stands for it. The log's trigger allows this alone.
UPDATE audit_log SET email = NULL, user_id = NULL, commitment = erased.commitment
FROM unnest(%(ids)s::bigint[], %(commitments)s::bytea[]) AS erased (id, commitment) WHERE audit_log.id = erased.id
"""

_FORGET_SALTS: LiteralString = """
-- Replace a seal's salts. Its hash doesn't cover them, and its trigger allows this alone.
UPDATE audit_seals SET salts = %(salts)s WHERE seal = %(seal)s
"""

_RECORD: LiteralString = """
-- Record an erasure in the log, and queue that row for the sealer.
WITH written AS (
    INSERT INTO audit_log (event_id, action, correlation_id, occurred_at, erased)
    VALUES (%(event_id)s, %(action)s, %(correlation_id)s, clock_timestamp(), %(ids)s)
    RETURNING id
), queued AS (INSERT INTO audit_unsealed (ids) SELECT ARRAY[id] FROM written)
SELECT id FROM written
"""

_VACUUM: LiteralString = """
-- Remove the old versions of the changed rows from the tables' files.
VACUUM audit_log, audit_seals
"""


class ErasureRefused(MessagingError):
    """An erasure would hide what was done to a row, or break the chain. Run: auditor verify."""

    def __init__(self, row_id: int, why: str) -> None:
        super().__init__(f"row {row_id} {why}. {self.__doc__}")


@dataclass(frozen=True, slots=True)
class Found:
    """A user's rows, and how many addresses they hold: more than one may be more than one person."""

    ids: list[int]
    addresses: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased: `row_id` is the row that records it, and `seal` covers that row."""

    ids: list[int]
    row_id: int
    seal: int


def find(connection: Connection[Any], user_id: int) -> Found:
    """Return what an erasure would change."""
    [(ids, addresses)] = connection.execute(_OF_USER, {"user_id": user_id}).fetchall()
    return Found(ids, addresses)


def erase(connection: Connection[Any], user_id: int) -> Erasure | None:
    """Erase a user's personal data; return None, if there is none.

    Raises:
        ErasureRefused: one of the rows, or their chain, was tampered with.
    """
    while try_seal(connection):  # a long queue, in transactions of its own
        pass
    with connection.transaction():
        seal_all(connection)
        ids = find(connection, user_id).ids
        if not ids:
            return None
        commitments = _forget_salts(connection, _read(connection, ids))
        connection.execute(_ERASE, {"ids": list(commitments), "commitments": list(commitments.values())})
        event_id = uuid.uuid4()
        values = {"event_id": event_id, "action": ACTION, "correlation_id": str(event_id), "ids": ids}
        [(row_id,)] = connection.execute(_RECORD, values).fetchall()
        seal_all(connection)
        seal = read_head(connection).seal
    connection.execute(_VACUUM)
    return Erasure(ids, row_id, seal)


def _read(connection: Connection[Any], ids: list[int]) -> dict[int, Row]:
    try:
        return read_single_rows(connection, ids)
    except RowDoubled as doubled:
        raise ErasureRefused(doubled.row_id, "isn't the only one with its id") from None


def _forget_salts(connection: Connection[Any], rows: Mapping[int, Row]) -> dict[int, bytes]:
    """Remove the salts of rows from their seals, and return the rows' commitments by id."""
    commitments: dict[int, bytes] = {}
    for seal, row_ids, leaves, packed in connection.execute(_SEALS, {"ids": list(rows)}).fetchall():
        salts = hashing.parts(packed, SALT_BYTES)
        for position, row_id in enumerate(row_ids):
            if row := rows.get(row_id):
                if row_id in commitments:
                    raise ErasureRefused(row_id, "is covered by the chain twice")
                commitments[row_id] = row.committed(salts[position])
                if row.is_half_erased or row.leaf(salts[position]) != hashing.parts(leaves, HASH_BYTES)[position]:
                    raise ErasureRefused(row_id, "isn't what its seal covers")
                salts[position] = NO_SALT
        connection.execute(_FORGET_SALTS, {"seal": seal, "salts": b"".join(salts)})
    if uncovered := rows.keys() - commitments.keys():
        raise ErasureRefused(min(uncovered), "is covered by no seal")
    return commitments
