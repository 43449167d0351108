"""What an idle Herald costs: the proof that recovery isn't bought with polling."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]  # it has no types of its own
import psycopg
from rich.console import Console
from rich.table import Table

from chaos.fault import Progress
from chaos.servers import Servers
from chaos.soak.kinds import MIB
from chaos.soak.sampler import private_memory
from chaos.system import System

USERS = 5
SETTLED = 5.0
"""Seconds after the last effect: by then all that follows from it is done."""

COMMITS: LiteralString = """
-- Run in a database that isn't one of Herald's, so that this query isn't counted.
SELECT datname, xact_commit + xact_rollback FROM pg_stat_database WHERE datname = ANY (%(databases)s)
"""


@dataclass
class Reading:
    """Running totals; memory: what is used now. Commands don't include those of the rig."""

    at: float = field(default_factory=time.monotonic)
    commands: Counter[str] = field(default_factory=Counter)
    transactions: Counter[str] = field(default_factory=Counter)
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)


def measure(servers: Servers, seconds: float, progress: Progress) -> tuple[Reading, Reading]:
    """Let a system of its own work a little and then idle; return the readings at both ends of the idleness."""
    with servers.system("idle") as system:
        system.start()
        for number in range(USERS):
            system.register(f"idler{number}")
        system.until(lambda: system.unfinished() == 0)
        time.sleep(SETTLED)
        before = _read(system, servers)
        progress(f"idle for {seconds:.0f} s")
        time.sleep(seconds)
        after = _read(system, servers)
        system.stop()
    return before, after


def _read(system: System, servers: Servers) -> Reading:
    reading = Reading()
    client: Any = system.redis  # its answers are typed as awaitable too
    statistics = client.info("commandstats")
    # INFO is only ours. What a script does is counted with the script and by itself, as Redis does in its total.
    reading.commands.update({name[8:]: of["calls"] for name, of in statistics.items() if name != "cmdstat_info"})
    databases = {urlsplit(url).path[1:]: service for service, url in system.herald.databases.items()}
    with psycopg.connect(servers.postgres.url()) as connection:
        for database, commits in connection.execute(COMMITS, {"databases": list(databases)}):
            reading.transactions[databases[database]] = commits
    groups = {name: process.pids for name, process in system.processes.items()}
    for name, pids in {**groups, "redis": system.redis_server.pids, "postgres": servers.postgres.pids}.items():
        processes = [psutil.Process(pid) for pid in pids]
        reading.cpu[name] = sum(sum(process.cpu_times()[:4]) for process in processes)  # with ended children's
        reading.memory[name] = sum(map(private_memory, processes))
    return reading


def show(before: Reading, after: Reading, console: Console) -> None:
    """Print what idleness costs each second."""
    seconds = after.at - before.at
    commands, transactions = after.commands - before.commands, after.transactions - before.transactions
    table = Table(f"idle, over {seconds:.0f} s", title_justify="left")
    table.add_column("each second", justify="right")
    table.add_column("", justify="left")
    table.add_row("Redis commands", f"{commands.total() / seconds:.1f}", _breakdown(commands, seconds))
    table.add_row("PostgreSQL transactions", f"{transactions.total() / seconds:.1f}", _breakdown(transactions, seconds))
    for name in after.cpu:
        used = 1000 * (after.cpu[name] - before.cpu.get(name, 0.0)) / seconds
        table.add_row(f"CPU of {name}", f"{used:.1f} ms", f"{after.memory[name] / MIB:.0f} MiB private memory")
    total = 1000 * (sum(after.cpu.values()) - sum(before.cpu.values())) / seconds
    table.add_row("CPU of all", f"{total:.1f} ms", f"{sum(after.memory.values()) / MIB:.0f} MiB private memory")
    (console if console.is_terminal else Console(width=140, highlight=False)).print(table)


def _breakdown(counts: Counter[str], seconds: float) -> str:
    return ", ".join(f"{name} {count / seconds:.2f}" for name, count in counts.most_common())
