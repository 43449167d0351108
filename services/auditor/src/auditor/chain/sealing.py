"""How the next seal is written.

Only one sealer is at work at a time: LOCK is taken before the queue and the newest seal are read. The seal's number is
a primary key too, so the chain can't fork whatever happens to the lock.
"""

import secrets
from typing import Any, LiteralString

import structlog
from psycopg import Connection

from auditor.chain import hashing
from auditor.chain.hashing import NOTHING, SALT_BYTES
from auditor.chain.rows import read_rows
from auditor.chain.seals import Seal, one_row, read_head

ENTRIES = 100
"""A seal covers at most this many entries of the queue, each of up to 100 rows."""

LOCK = 0x41554449  # "AUDI": any number. It is held in the transaction that seals.

_IS_WAITING: LiteralString = """
-- Return whether any row waits to be sealed.
SELECT EXISTS (SELECT FROM audit_unsealed)
"""

_TRY_LOCK: LiteralString = """
-- Become the only sealer until this transaction ends, or return false because another one seals.
SELECT pg_try_advisory_xact_lock(%s)
"""

_TAKE: LiteralString = """
-- Take the oldest entries from the queue.
DELETE FROM audit_unsealed WHERE entry IN (SELECT entry FROM audit_unsealed ORDER BY entry LIMIT %(entries)s)
RETURNING ids
"""

_LOCK: LiteralString = """
-- Become the only sealer until this transaction ends.
SELECT pg_advisory_xact_lock(%s)
"""

_NOW: LiteralString = """
-- Return the database's time.
SELECT clock_timestamp()
"""

_WRITE: LiteralString = """
-- Write a seal. Its number is the primary key, so a chain can't fork.
INSERT INTO audit_seals (seal, previous, sealed_at, rows, row_ids, leaves, hash, salts)
VALUES (%(seal)s, %(previous)s, %(sealed_at)s, %(rows)s, %(row_ids)s, %(leaves)s, %(hash)s, %(salts)s)
"""

log: structlog.stdlib.BoundLogger = structlog.get_logger("audit")


def try_seal(connection: Connection[Any]) -> bool | None:
    """Seal rows that wait, in a transaction of its own.

    Return True if the queue had entries, False if it is empty, and None if another sealer is at work.
    """
    if not one_row(connection, _IS_WAITING)[0]:
        return False
    with connection.transaction():
        if not one_row(connection, _TRY_LOCK, [LOCK])[0]:
            return None
        return seal_next(connection)


def seal_all(connection: Connection[Any]) -> None:
    """Seal all rows that wait, in the caller's transaction. Waits while another sealer is at work."""
    connection.execute(_LOCK, [LOCK])
    while seal_next(connection):
        pass


def seal_next(connection: Connection[Any]) -> bool:
    """Write the next seal in the caller's transaction, which holds LOCK. Return False if the queue is empty.

    A row that was queued and is gone gets a leaf of zeros: then the chain shows that it is missing.
    """
    taken = connection.execute(_TAKE, {"entries": ENTRIES}).fetchall()
    if row_ids := sorted({row_id for (entry,) in taken for row_id in entry}):
        _seal_rows(connection, row_ids)
    return bool(taken)


def _seal_rows(connection: Connection[Any], row_ids: list[int]) -> None:
    rows = read_rows(connection, row_ids)
    if missing := [row_id for row_id in row_ids if row_id not in rows]:
        log.error("audit.rows_missing", ids=missing[:10], count=len(missing))
    salts = secrets.token_bytes(SALT_BYTES * len(row_ids))
    of_rows = zip(row_ids, hashing.parts(salts, SALT_BYTES), strict=True)
    leaves = b"".join(rows[row_id].leaf(salt) if row_id in rows else NOTHING for row_id, salt in of_rows)
    _write(connection, row_ids, leaves, salts)


def _write(connection: Connection[Any], row_ids: list[int], leaves: bytes, salts: bytes) -> None:
    head, now = read_head(connection), one_row(connection, _NOW)[0]
    covered = head.rows + len(row_ids)
    seal = Seal(head.seal + 1, head.hash, hashing.microseconds(now), covered, row_ids, leaves, NOTHING, salts)
    values = {"seal": seal.number, "previous": head.hash, "sealed_at": now, "rows": covered, "row_ids": row_ids}
    connection.execute(_WRITE, {**values, "leaves": leaves, "hash": seal.computed, "salts": salts})
