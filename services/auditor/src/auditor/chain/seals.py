"""The seals as they are stored, and how to write the next one."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, LiteralString

import structlog
from psycopg import Connection

from auditor.chain import hashing
from auditor.chain.hashing import HASH_BYTES, NOTHING, SALT_BYTES
from auditor.chain.rows import read_rows

ENTRIES = 100
"""A seal covers at most this many entries of the queue, each of up to 100 rows."""

GROUP_ROWS = 4000
"""Seals are read in groups of at least this many rows."""

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

_HEAD: LiteralString = """
-- Return the newest seal, or what stands before the first one, and the time.
(SELECT seal, hash, rows, clock_timestamp() FROM audit_seals ORDER BY seal DESC LIMIT 1)
UNION ALL SELECT 0, %(nothing)s, 0, clock_timestamp() ORDER BY 1 DESC LIMIT 1
"""

_WRITE: LiteralString = """
-- Write a seal. Its number is the primary key, so a chain can't fork.
INSERT INTO audit_seals (seal, previous, sealed_at, rows, row_ids, leaves, hash, salts)
VALUES (%(seal)s, %(previous)s, %(sealed_at)s, %(rows)s, %(row_ids)s, %(leaves)s, %(hash)s, %(salts)s)
"""

_LOCK: LiteralString = """
-- Become the only sealer until this transaction ends.
SELECT pg_advisory_xact_lock(%s)
"""

_READ: LiteralString = """
-- Read the chain in its order.
SELECT seal, previous, timestamptz_send(sealed_at), rows, row_ids, leaves, hash, salts FROM audit_seals ORDER BY seal
"""

log: structlog.stdlib.BoundLogger = structlog.get_logger("audit")


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal. The fields are the columns of `audit_seals`; the time is encoded as its hash covers it."""

    number: int
    previous: bytes
    sealed_at: bytes
    rows: int
    row_ids: list[int]
    leaves: bytes
    hash: bytes
    salts: bytes

    @property
    def computed(self) -> bytes:
        """The hash that it should have."""
        return hashing.seal(self.number, self.previous, self.sealed_at, self.rows, self.row_ids, self.leaves)


@dataclass(frozen=True, slots=True)
class Head:
    """How far the chain reaches: its newest seal, that seal's hash, and the number of rows up to there."""

    seal: int
    hash: bytes
    rows: int


def read_head(connection: Connection[Any]) -> Head:
    """Return how far the chain reaches; seal 0, if there is none."""
    seal, digest, rows, _ = _one(connection, _HEAD, {"nothing": NOTHING})
    return Head(seal, digest, rows)


def try_seal(connection: Connection[Any]) -> bool | None:
    """Seal rows that wait, in a transaction of its own.

    Return True if a seal was written, False if no row waits, and None if another sealer is at work.
    """
    if not _one(connection, _IS_WAITING)[0]:
        return False
    with connection.transaction():
        if not _one(connection, _TRY_LOCK, [LOCK])[0]:
            return None
        return seal_next(connection)


def seal_all(connection: Connection[Any]) -> None:
    """Seal all rows that wait, in the caller's transaction. Waits while another sealer is at work."""
    connection.execute(_LOCK, [LOCK])
    while seal_next(connection):
        pass


def seal_next(connection: Connection[Any]) -> bool:
    """Write the next seal in the caller's transaction, which holds LOCK. Return False if no row waits.

    A row that was queued and is gone gets a leaf of zeros: then the chain shows that it is missing.
    """
    taken = connection.execute(_TAKE, {"entries": ENTRIES}).fetchall()
    row_ids = sorted({row_id for (entry,) in taken for row_id in entry})
    if not row_ids:
        return False
    rows = read_rows(connection, row_ids)
    if missing := [row_id for row_id in row_ids if row_id not in rows]:
        log.error("audit.rows_missing", ids=missing[:10], count=len(missing))
    salts = secrets.token_bytes(SALT_BYTES * len(row_ids))
    of_rows = zip(row_ids, hashing.parts(salts, SALT_BYTES), strict=True)
    leaves = b"".join(rows[row_id].leaf(salt) if row_id in rows else NOTHING for row_id, salt in of_rows)
    _write(connection, row_ids, leaves, salts)
    return True


def _write(connection: Connection[Any], row_ids: list[int], leaves: bytes, salts: bytes) -> None:
    newest, previous, covered, now = _one(connection, _HEAD, {"nothing": NOTHING})
    seal = Seal(
        newest + 1, previous, hashing.microseconds(now), covered + len(row_ids), row_ids, leaves, NOTHING, salts
    )
    values = {"seal": seal.number, "previous": previous, "sealed_at": now, "rows": seal.rows, "row_ids": row_ids}
    connection.execute(_WRITE, {**values, "leaves": leaves, "hash": seal.computed, "salts": salts})


def read_groups(connection: Connection[Any]) -> Iterator[list[Seal]]:
    """Yield the whole chain in its order, in groups of about GROUP_ROWS rows. Needs a transaction."""
    with connection.cursor("seals", binary=True) as cursor:
        cursor.itersize = 10
        cursor.execute(_READ)
        group: list[Seal] = []
        rows = 0
        for fields in cursor:
            group.append(Seal(*fields))
            rows += len(group[-1].row_ids)
            if rows >= GROUP_ROWS:
                yield group
                group, rows = [], 0
        if group:
            yield group


def well_formed(seal: Seal) -> bool:
    """Return whether a seal has one leaf and one salt for each row, and every row has an id."""
    count = len(seal.row_ids)
    sizes = (len(seal.leaves), len(seal.salts)) == (HASH_BYTES * count, SALT_BYTES * count)
    return sizes and all(isinstance(row_id, int) for row_id in seal.row_ids)


def _one(connection: Connection[Any], statement: LiteralString, values: Any = None) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(statement, values).fetchone()
    assert row is not None  # noqa: S101  # each of these statements returns one row
    return row
