"""Rows of the log as the chain's hashes cover them. PostgreSQL encodes: that is faster than Python, and exact."""

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


def read_rows(connection: Connection[Any], ids: Sequence[int]) -> dict[int, Row]:
    """Return those of the rows that exist, by id."""
    array = "{" + ",".join(map(str, ids)) + "}"  # psycopg takes longer to write one than PostgreSQL to read it
    rows = connection.cursor(binary=True).execute(_ROWS, {"ids": array}).fetchall()
    return {fields[0]: Row._make(fields) for fields in rows}
