"""What a system costs that has nothing to do, each second: CPU, Redis commands, transactions."""

import time

from benchmarks import usage
from benchmarks.running import Running

SETTLED = 5.0
"""Seconds after the last effect: what work leaves to do is done by then."""
SECONDS = 15.0


def measure(running: Running) -> dict[str, object]:
    """Let it idle. CPU in seconds for each second; our own Redis commands are taken off."""
    time.sleep(SETTLED)
    first = usage.read(running)
    before = usage.read(running)
    time.sleep(SECONDS)
    used = usage.read(running).since(before)
    return {
        "cpu_services": sum(used.services.values()) / used.at,
        "cpu_servers": (used.redis + used.postgres) / used.at,
        "commands": (used.commands - before.since(first).commands) / used.at,
        "transactions": used.transactions / used.at,
    }
