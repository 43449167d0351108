"""The seals, as they are stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Connection, IsolationLevel

from auditor.chain import hashing
from auditor.chain.hashing import HASH_BYTES, NOTHING, SALT_BYTES

GROUP_ROWS = 4000
"""Seals are read in groups of at least this many rows."""

_BY_HASHES: LiteralString = """
-- Let PostgreSQL find uncovered rows by a hash join: without statistics it may choose nested loops, which take hours.
SET LOCAL enable_nestloop = off
"""

_HEAD: LiteralString = """
-- Return the newest seal, or what stands before the first one.
(SELECT seal, hash, rows FROM audit_seals ORDER BY seal DESC LIMIT 1)
UNION ALL SELECT 0, %(nothing)s, 0 ORDER BY 1 DESC LIMIT 1
"""

_READ: LiteralString = """
-- Read the chain in its order.
SELECT seal, previous, timestamptz_send(sealed_at), rows, row_ids, leaves, hash, salts FROM audit_seals ORDER BY seal
"""


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
    return Head(*one_row(connection, _HEAD, {"nothing": NOTHING}))


@contextmanager
def snapshot(connection: Connection[Any]) -> Iterator[None]:
    """Read everything in this block as it is at one moment."""
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection.transaction():
        connection.execute(_BY_HASHES)
        yield


def read_groups(connection: Connection[Any]) -> Iterator[list[Seal]]:
    """Yield the whole chain in its order, in groups of about GROUP_ROWS rows. Needs a `snapshot`."""
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


def one_row(connection: Connection[Any], statement: LiteralString, values: Any = None) -> tuple[Any, ...]:
    """Execute a statement that returns one row."""
    row: tuple[Any, ...] | None = connection.execute(statement, values).fetchone()
    assert row is not None  # noqa: S101  # each of these statements returns one row
    return row
