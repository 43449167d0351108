"""What a system uses: CPU of all its processes, the ended ones too; memory; commands and transactions.

CPU is user plus system time. An ended child is in its parent's account from the moment the parent has waited for it,
which PostgreSQL's postmaster does at once, as do the masters of all consumers.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psutil  # type: ignore[import-untyped]  # it has no types of its own
import psycopg
import redis

from benchmarks.running import Running

TRANSACTIONS: LiteralString = """
-- Asked in a database that is none of the system's, so that asking isn't counted.
SELECT coalesce(sum(xact_commit + xact_rollback), 0)::int FROM pg_stat_database WHERE datname = ANY (%(names)s)
"""


@dataclass(frozen=True)
class Usage:
    """What has been used until `at` (monotonic): CPU seconds by process, Redis commands, transactions."""

    at: float
    services: dict[str, float]
    redis: float
    postgres: float
    sink: float
    commands: int
    transactions: int

    def since(self, before: "Usage") -> "Usage":
        """Return what was used between two readings; `at` is the seconds between them."""
        return Usage(
            at=self.at - before.at,
            services={name: used - before.services[name] for name, used in self.services.items()},
            redis=self.redis - before.redis,
            postgres=self.postgres - before.postgres,
            sink=self.sink - before.sink,
            commands=self.commands - before.commands,
            transactions=self.transactions - before.transactions,
        )


def read(running: Running) -> Usage:
    """Read everything now. What asking itself costs, a command or two, is in it."""
    return Usage(
        at=time.monotonic(),
        services={name: cpu(process.pids) for name, process in running.processes.items()},
        redis=cpu(running.redis_server.pids),
        postgres=cpu(running.postgres.pids),
        sink=cpu(running.sink.process.pids),
        commands=_commands(running),
        transactions=_transactions(running),
    )


def cpu(pids: Iterable[int]) -> float:
    """Add up the CPU seconds of processes, and of their children that have ended."""
    used = 0.0
    for pid in pids:
        with suppress(psutil.Error, OSError):
            used += time.clock_gettime(_clock(pid)) + sum(psutil.Process(pid).cpu_times()[2:4])
    return used


def _clock(pid: int) -> int:
    """Return Linux's CPU clock of a process, all its threads included: nanoseconds, where /proc has ticks of 10 ms."""
    return (~pid << 3) | 2


def memory(pids: Iterable[int]) -> int:
    """Add up proportional set sizes, in bytes: what is shared counts for each sharer by its share."""
    return sum(_proportional(pid) for pid in pids)


def _proportional(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _commands(running: Running) -> int:
    with redis.Redis.from_url(running.redis_server.url) as client:
        told: Any = client.info("stats")
        return int(told["total_commands_processed"])


def _transactions(running: Running) -> int:
    with psycopg.connect(running.postgres.url()) as connection:
        row = connection.execute(TRANSACTIONS, {"names": running.database_names()}).fetchone()
        return int(row[0]) if row else 0
