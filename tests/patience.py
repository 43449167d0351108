"""Waiting for what other threads and processes do: until something holds, until a process is gone."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PATIENCE = 60.0
"""How long a test waits for what must come, in seconds: long enough for any machine, however busy. What came is seen
at once, so only a red test waits so long. A bound that is itself what a test is about stands in that test."""

SLACK = 20.0
"""How much later than its own limit something may end on a busy machine, in seconds: for what would last for ever, or
for minutes, if it didn't end in time."""


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for a condition; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def exists(pid: int) -> bool:
    """Tell whether a process runs: there is one, and it hasn't ended."""
    with suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False
