"""The benchmark of the audit log: it seals all that it writes, and measures commands that succeed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.chain.verifying import verify
from benchmarks import audit
from benchmarks.errors import BenchmarkError
from messaging.process.database import connect


def test_every_row_is_sealed_verified_and_exported(new_database: Callable[[str], str], tmp_path: Path) -> None:
    url = new_database("auditor")

    costs = list(audit.measure(url, 2_000, tmp_path))

    assert [(cost.what, cost.rows) for cost in costs[::4]] == [("sealing", 200), ("sealing", 1_800)]
    assert {cost.what for cost in costs} == {"sealing", *audit.COMMANDS}
    assert all(cost.seconds > 0 and (cost.memory or 100) > 20 for cost in costs)
    with connect(url, name="test") as connection:
        result = verify(connection, None, lambda _: None)
    assert (result.finding, result.rows, result.waiting) == (None, 2_000, 0)
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 2_000
    assert len((tmp_path / "audit.csv").read_text().splitlines()) == 2_001


def test_a_command_that_fails_is_no_figure(new_database: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "audit.csv").mkdir()
    with pytest.raises(BenchmarkError, match="csv ended with status 1"):
        list(audit.measure(new_database("auditor"), 1_000, tmp_path))
