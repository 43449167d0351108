"""Verify the chain: compute every hash anew, in one snapshot of the database, and stop at the first sign of tampering.

Memory doesn't grow with the log: seals are read by a cursor of the server, their rows in groups, and PostgreSQL checks
the log as a whole (`whole_log`).
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, NoReturn

from psycopg import Connection

from auditor.chain import hashing, whole_log
from auditor.chain.checkpoints import Checkpoint
from auditor.chain.findings import Finding, Kind, Verified
from auditor.chain.hashing import HASH_BYTES, NOTHING, SALT_BYTES
from auditor.chain.rows import Row, RowDoubled, read_single_rows
from auditor.chain.seals import Head, Seal, read_groups, snapshot, well_formed

PATIENCE = timedelta(minutes=1)
"""A row that waits for longer to be sealed is worth a warning."""


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
            ids = [row_id for seal in group for row_id in seal.row_ids if isinstance(row_id, int)]
            rows = self._read_rows(ids)
            for seal in group:
                self._check_seal(seal, rows)
            progress(self.result.rows)
        self._check_end()
        self._check_waiting()
        self._check_whole_log()
        self.result.erasures = whole_log.erasures(self._connection)

    def _read_rows(self, ids: list[int]) -> dict[int, Row]:
        try:
            return read_single_rows(self._connection, ids)
        except RowDoubled as doubled:
            _found("inserted", f"a row was inserted: several have the id {doubled.row_id}", row_id=doubled.row_id)

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
            if row.is_half_erased or row.leaf(salt) != leaf:
                detail = ": it has a commitment, as erased rows have, and isn't erased" if row.is_half_erased else ""
                _found("edited", f"row {row_id} was edited{detail}", seal=seal.number, row=row)
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
        self.result.waiting, gone, age = whole_log.waiting(self._connection)
        if gone is not None:
            _found("deleted", f"row {gone} was deleted before it was sealed", row_id=gone)
        if age is not None and age > PATIENCE:
            seconds = int(age.total_seconds())
            self.result.warnings.append(
                f"a row has waited for {seconds} s to be sealed; check that an auditor is running"
            )

    def _check_whole_log(self) -> None:
        covered = self.result.rows + self.result.waiting
        if finding := whole_log.not_covered_once(self._connection, covered) or whole_log.not_erased(self._connection):
            raise _Found(finding)


def _first(seal: Seal, rows: Mapping[int, Row]) -> Row | None:
    return rows.get(seal.row_ids[0]) if seal.row_ids else None


def _found(kind: Kind, detail: str, *, row: Row | None = None, **where: Any) -> NoReturn:
    if row is not None:
        where = {**where, "row_id": row.id, "event_id": row.event_id}
    raise _Found(Finding(kind, detail, **where))
