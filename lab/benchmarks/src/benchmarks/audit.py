"""What a long audit log costs to seal, verify and export: time, rows per second, and memory at its peak."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

from rich.console import Console
from rich.table import Table

from auditor.chain.sealing import try_seal
from benchmarks.errors import BenchmarkError
from devstack.programs import program
from messaging.process.database import connect

FILL: LiteralString = """
-- Write rows as auditors do that take a hundred deliveries at once.
WITH written AS (
    INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)
    SELECT gen_random_uuid(), 'user_registered', 'user' || number || '@example.com', number, md5(number::text), now()
    FROM generate_series(%(first)s::int, %(last)s::int) AS number
    RETURNING id
)
INSERT INTO audit_unsealed (ids) SELECT array_agg(id) FROM written GROUP BY id / 100
"""

AT_ONCE = 10_000
LOOK_SECONDS = 0.02

COMMANDS = {
    "auditor verify": ["verify"],
    "auditor export": ["export", "--out", "audit.jsonl"],
    "auditor export --format csv": ["export", "--format", "csv", "--out", "audit.csv"],
}


@dataclass(frozen=True)
class Cost:
    """What was done to `rows` rows: in how many seconds, with how much memory at most (MiB; None: not measured)."""

    what: str
    rows: int
    seconds: float
    memory: float | None


def measure(database_url: str, rows: int, directory: Path) -> Iterator[Cost]:
    """Fill an empty log with a tenth of the rows, then with all; after each, seal them and run the commands.

    Raises:
        BenchmarkError: a command failed.
    """
    filled = 0
    for wanted in (rows // 10, rows):
        _fill(database_url, filled, wanted)
        yield Cost("sealing", wanted - filled, _seal(database_url), None)
        filled = wanted
        for what, arguments in COMMANDS.items():
            yield _run(what, arguments, database_url, filled, directory)


def show(costs: list[Cost], console: Console) -> None:
    """Print a table."""
    table = Table("what", title_justify="left")
    for heading in ("rows", "seconds", "rows/s", "memory, MiB"):
        table.add_column(heading, justify="right")
    for cost in costs:
        memory = "" if cost.memory is None else f"{cost.memory:.0f}"
        table.add_row(cost.what, f"{cost.rows:,}", f"{cost.seconds:.1f}", f"{cost.rows / cost.seconds:,.0f}", memory)
    console.print(table)


def _fill(database_url: str, filled: int, wanted: int) -> None:
    with connect(database_url, name="bench") as connection:
        for first in range(filled + 1, wanted + 1, AT_ONCE):
            connection.execute(FILL, {"first": first, "last": min(first + AT_ONCE - 1, wanted)})


def _seal(database_url: str) -> float:
    began = time.perf_counter()
    with connect(database_url, name="bench") as connection:
        while try_seal(connection):
            pass
    return time.perf_counter() - began


def _run(what: str, arguments: list[str], database_url: str, rows: int, directory: Path) -> Cost:
    environment = {**os.environ, "DATABASE_URL": database_url}
    peak, began = 0.0, time.perf_counter()
    with subprocess.Popen(  # noqa: S603  # our own program
        [program("auditor"), *arguments], env=environment, cwd=directory, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            peak = max(peak, _peak_memory(process.pid))
            time.sleep(LOOK_SECONDS)
    if process.returncode:
        raise BenchmarkError(f"{what} ended with status {process.returncode}")
    return Cost(what, rows, time.perf_counter() - began, peak)


def _peak_memory(pid: int) -> float:
    """Return the most memory that a process has had, in MiB. (What `wait4` returns has its parent's in it.)"""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
