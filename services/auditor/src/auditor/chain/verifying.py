"""Verify the chain: compute every hash anew, in one snapshot of the database, and stop at the first sign of tampering.

Memory doesn't grow with the log: seals are read by a cursor of the server, their rows in groups, and PostgreSQL looks
for rows that no seal covers.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, LiteralString, NoReturn

from psycopg import Connection

from auditor.chain import hashing
from auditor.chain.checkpoints import Checkpoint
from auditor.chain.findings import Finding, Kind, Verified
from auditor.chain.hashing import HASH_BYTES, NOTHING, SALT_BYTES
from auditor.chain.rows import Row, read_rows
from auditor.chain.seals import Head, Seal, read_groups, snapshot, well_formed

PATIENCE = timedelta(minutes=1)
"""A row that waits for longer to be sealed is worth a warning."""

_WAITING: LiteralString = """
-- Count the rows that wait to be sealed, those of them that are gone, and how long the first has waited.
SELECT count(*), count(*) FILTER (WHERE audit_log.id IS NULL), min(waiting.id) FILTER (WHERE audit_log.id IS NULL),
    clock_timestamp() - min(recorded_at)
FROM (SELECT unnest(ids) AS id FROM audit_unsealed) AS waiting LEFT JOIN audit_log USING (id)
"""

_UNCOVERED: LiteralString = """
-- Find the first row that no seal covers and that doesn't wait to be sealed.
SELECT id, event_id FROM audit_log WHERE NOT EXISTS (
    SELECT FROM (
        SELECT unnest(row_ids) AS id FROM audit_seals UNION ALL SELECT unnest(ids) FROM audit_unsealed
    ) AS covered WHERE covered.id = audit_log.id
) ORDER BY id LIMIT 1
"""

_UNEXPLAINED: LiteralString = """
-- Find the first row without personal data that no sealed erasure names.
SELECT id, event_id FROM audit_log WHERE email IS NULL AND user_id IS NULL AND erased IS NULL AND NOT EXISTS (
    SELECT FROM (
        SELECT unnest(erased) AS id FROM audit_log
        WHERE erased IS NOT NULL AND id NOT IN (SELECT unnest(ids) FROM audit_unsealed)
    ) AS explained WHERE explained.id = audit_log.id
) ORDER BY id LIMIT 1
"""


class _Found(Exception):
    """Ends the search."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.detail)
        self.finding = finding


def verify(
    connection: Connection[Any], checkpoints: Iterable[Checkpoint] | None, progress: Callable[[int], None]
) -> Verified:
    """Verify the whole chain, and compare it with checkpoints that were read before; None, if there are none.

    `progress` is called with the number of rows that have been compared.
    """
    verification = _Verification(connection, checkpoints)
    with snapshot(connection):
        try:
            verification.run(progress)
        except _Found as found:
            verification.result.finding = found.finding
    return verification.result


class _Verification:
    def __init__(self, connection: Connection[Any], checkpoints: Iterable[Checkpoint] | None) -> None:
        self.result = Verified(checkpoints=None if checkpoints is None else 0)
        self._connection = connection
        self._expected: dict[int, list[Checkpoint]] = {}
        for checkpoint in checkpoints or ():
            self._expected.setdefault(checkpoint.head.seal, []).append(checkpoint)
        self._head = Head(0, NOTHING, 0)

    def run(self, progress: Callable[[int], None]) -> None:
        for group in read_groups(self._connection):
            well = [seal for seal in group if well_formed(seal)]
            rows = read_rows(self._connection, [row_id for seal in well for row_id in seal.row_ids])
            for seal in group:
                self._check_seal(seal, rows)
            progress(self.result.rows)
        self._check_end()
        self._check_waiting()
        self._check_covered()

    def _check_seal(self, seal: Seal, rows: Mapping[int, Row]) -> None:
        """Compare a seal with its rows, with the seal before, and with the checkpoints of it."""
        if seal.number != self._head.seal + 1:
            detail = f"seal {self._head.seal + 1} is missing, with its rows after number {self._head.rows} of the chain"
            _found("deleted", detail, seal=self._head.seal + 1)
        if not well_formed(seal):
            self._broken(seal, rows, f"seal {seal.number} was changed")
        self._check_rows(seal, rows)
        if seal.previous != self._head.hash:
            self._broken(seal, rows, f"seal {seal.number} doesn't follow seal {self._head.seal}: one was replaced")
        if seal.rows != self._head.rows + len(seal.row_ids) or seal.hash != seal.computed:
            self._broken(seal, rows, f"seal {seal.number} was changed, or one of its rows and the seal")
        self._head = Head(seal.number, seal.hash, seal.rows)
        self._check_checkpoints(seal, rows)
        self.result.seals += 1

    def _check_rows(self, seal: Seal, rows: Mapping[int, Row]) -> None:
        salts, leaves = hashing.parts(seal.salts, SALT_BYTES), hashing.parts(seal.leaves, HASH_BYTES)
        for row_id, salt, leaf in zip(seal.row_ids, salts, leaves, strict=True):
            row = rows.get(row_id)
            if row is None:
                _found("deleted", f"row {row_id} was deleted", seal=seal.number, row_id=row_id)
            if row.leaf(salt) != leaf:
                _found("edited", f"row {row_id} was edited", seal=seal.number, row=row)
            self.result.rows += 1
            self.result.erased += row.is_erased

    def _broken(self, seal: Seal, rows: Mapping[int, Row], detail: str) -> NoReturn:
        _found("broken", detail, seal=seal.number, row=_first(seal, rows))

    def _check_checkpoints(self, seal: Seal, rows: Mapping[int, Row]) -> None:
        for checkpoint in self._expected.pop(seal.number, ()):
            if checkpoint.head != self._head:
                detail = f"seal {seal.number} isn't the one of the checkpoint in line {checkpoint.line}"
                _found("rewritten", f"{detail}: the chain was computed anew", seal=seal.number, row=_first(seal, rows))
            self.result.checkpoints = (self.result.checkpoints or 0) + 1
            self.result.checkpoint_seal = seal.number

    def _check_end(self) -> None:
        if self._expected:
            lost = self._expected[max(self._expected)][0].head
            detail = (
                f"the chain ends with seal {self._head.seal} and {self._head.rows} rows, and a checkpoint knows "
                f"seal {lost.seal} and {lost.rows} rows: the end was cut off"
            )
            _found("truncated", detail, seal=self._head.seal + 1)

    def _check_waiting(self) -> None:
        [(self.result.waiting, gone, first, age)] = self._connection.execute(_WAITING).fetchall()
        if gone:
            _found("deleted", f"row {first} was deleted before it was sealed", row_id=first)
        if age is not None and age > PATIENCE:
            seconds = int(age.total_seconds())
            self.result.warnings.append(
                f"a row has waited for {seconds} s to be sealed; check that an auditor is running"
            )

    def _check_covered(self) -> None:
        for row_id, event_id in self._connection.execute(_UNCOVERED):
            detail = f"row {row_id} was inserted: no seal covers it, and it doesn't wait for one"
            _found("inserted", detail, row_id=row_id, event_id=event_id)
        for row_id, event_id in self._connection.execute(_UNEXPLAINED):
            detail = f"row {row_id} was edited: its personal data is gone, and no sealed erasure names it"
            _found("edited", detail, row_id=row_id, event_id=event_id)


def _first(seal: Seal, rows: Mapping[int, Row]) -> Row | None:
    return rows.get(seal.row_ids[0]) if seal.row_ids else None


def _found(kind: Kind, detail: str, *, row: Row | None = None, **where: Any) -> NoReturn:
    if row is not None:
        where = {**where, "row_id": row.id, "event_id": row.event_id}
    raise _Found(Finding(kind, detail, **where))
