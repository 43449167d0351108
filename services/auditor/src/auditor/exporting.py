"""Export the audit log with its seals' numbers: any number of rows, with constant memory.

Rows come in the order of the chain, then those that no seal covers yet.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import dict_row

from auditor.chain.hashing import SALT_BYTES, parts
from auditor.chain.seals import Seal, read_groups, snapshot

Export = dict[str, Any]

ROW_FIELDS: tuple[str, ...] = (
    *("id", "event_id", "action", "email", "user_id", "correlation_id", "occurred_at", "recorded_at"),
    *("commitment", "erased", "seal", "salt"),
)
SEAL_FIELDS: tuple[str, ...] = ("seal", "previous", "sealed_at", "rows", "row_ids", "leaves", "hash")
"""The fields of what `rows` and `seals` yield, in their order."""

_COLUMNS: LiteralString = """
    id, event_id::text, action, email, user_id, correlation_id, occurred_at, recorded_at, commitment, erased
FROM audit_log WHERE (%(since)s::timestamptz IS NULL OR occurred_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR occurred_at < %(until)s)
"""

_SEALED: LiteralString = f"""
-- Return those of the rows that happened in the period.
SELECT {_COLUMNS} AND id = ANY(%(ids)s)
"""

_UNSEALED: LiteralString = f"""
-- Return the rows of the period that no seal covers.
SELECT {_COLUMNS} AND NOT EXISTS (
    SELECT FROM (SELECT unnest(row_ids) AS id FROM audit_seals) AS covered WHERE covered.id = audit_log.id
) ORDER BY id
"""  # noqa: S608  # our own words

_SEALS: LiteralString = """
-- Return the chain. The salts are exported with the rows.
SELECT seal, previous, sealed_at, rows, row_ids, leaves, hash FROM audit_seals ORDER BY seal
"""


@dataclass(frozen=True, slots=True)
class Period:
    """When what is exported happened: from `since`, before `until`."""

    since: datetime | None = None
    until: datetime | None = None


def rows(connection: Connection[Any], period: Period, progress: Callable[[int], None]) -> Generator[Export]:
    """Yield the log's rows of one moment. `progress` is called with the number of rows that have been looked at."""
    with snapshot(connection):
        parameters = {"since": period.since, "until": period.until}
        for group in read_groups(connection):
            ids = [row_id for seal in group for row_id in seal.row_ids]
            with connection.cursor(row_factory=dict_row) as cursor:
                found = {row["id"]: row for row in cursor.execute(_SEALED, {**parameters, "ids": ids})}
            for seal in group:
                yield from _of_seal(seal, found)
            progress(group[-1].rows)
        with connection.cursor("unsealed", row_factory=dict_row) as cursor:
            yield from ({**row, "seal": None, "salt": None} for row in cursor.execute(_UNSEALED, parameters))


def seals(connection: Connection[Any], progress: Callable[[int], None]) -> Generator[Export]:
    """Yield the chain itself: what others need to verify exported rows."""
    with snapshot(connection), connection.cursor("export", row_factory=dict_row) as cursor:
        for seal in cursor.execute(_SEALS):
            yield seal
            progress(seal["rows"])


def _of_seal(seal: Seal, found: Mapping[int, Export]) -> Iterator[Export]:
    for row_id, salt in zip(seal.row_ids, parts(seal.salts, SALT_BYTES), strict=True):
        if row := found.get(row_id):
            yield {**row, "seal": seal.number, "salt": salt if row["commitment"] is None else None}
