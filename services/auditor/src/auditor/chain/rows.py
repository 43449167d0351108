"""Rows of the log as the chain's hashes cover them. PostgreSQL encodes: that is faster than Python, and exact."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import Connection

from auditor.chain import hashing

_ROWS: LiteralString = """
-- Encode rows: `body`, everything that stays, and `person`, what an erasure removes.
SELECT id,
    int8send(id) || uuid_send(event_id) || timestamptz_send(occurred_at) || timestamptz_send(recorded_at)
        || int4send(octet_length(action)) || convert_to(action, 'UTF8')
        || int4send(octet_length(correlation_id)) || convert_to(correlation_id, 'UTF8')
        || convert_to(coalesce(erased::text, ''), 'UTF8') AS body,
    CASE WHEN email IS NOT NULL OR user_id IS NOT NULL
        THEN coalesce(int8send(user_id), '') || coalesce(convert_to(email, 'UTF8'), '') END AS person,
    commitment,
    erased IS NOT NULL AS is_erasure
FROM audit_log WHERE id = ANY(%(ids)s::bigint[])
"""


class Row(NamedTuple):
    """One row. `person`: None if its personal data was erased, or if there never was any."""

    id: int
    body: bytes
    person: bytes | None
    commitment: bytes | None
    is_erasure: bool

    @property
    def event_id(self) -> UUID:
        """The event that it is about."""
        return UUID(bytes=self.body[8:24])

    @property
    def is_half_erased(self) -> bool:
        """Whether it has both what an erasure removes and what an erasure leaves."""
        return self.commitment is not None and (self.person is not None or self.is_erasure)

    @property
    def is_erased(self) -> bool:
        """Whether its personal data was removed."""
        return self.person is None and not self.is_erasure

    def leaf(self, salt: bytes) -> bytes:
        """Return its leaf."""
        return hashing.leaf(self.body, self.committed(salt))

    def committed(self, salt: bytes) -> bytes:
        """Return the commitment to its personal data, which outlives an erasure."""
        if self.person is not None:
            return hashing.commitment(salt, self.person)
        return hashing.NOTHING if self.is_erasure else self.commitment or b""


class RowDoubled(Exception):
    """Several rows have the same id, which the log's primary key forbids."""

    def __init__(self, row_id: int) -> None:
        super().__init__(f"several rows have the id {row_id}")
        self.row_id = row_id


def read_rows(connection: Connection[Any], ids: Sequence[int]) -> dict[int, Row]:
    """Return those of the rows that exist, by id."""
    return {row.id: row for row in _read(connection, ids)}


def read_single_rows(connection: Connection[Any], ids: Sequence[int]) -> dict[int, Row]:
    """Return those of the rows that exist, by id.

    Raises:
        RowDoubled: several have the same id.
    """
    found = _read(connection, ids)
    rows = {row.id: row for row in found}
    if len(rows) < len(found):
        count = Counter(row.id for row in found)
        raise RowDoubled(min(row_id for row_id in rows if count[row_id] > 1))
    return rows


def _read(connection: Connection[Any], ids: Sequence[int]) -> list[Row]:
    array = "{" + ",".join(map(str, ids)) + "}"  # psycopg takes longer to write one than PostgreSQL to read it
    rows = connection.cursor(binary=True).execute(_ROWS, {"ids": array}).fetchall()
    return [Row._make(fields) for fields in rows]
