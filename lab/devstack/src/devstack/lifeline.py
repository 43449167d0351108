"""Ends the processes that this one started when this one has ended, even by `kill -9`.

A guard, a small process, reads a pipe that only this process holds open, and that names the process groups to watch
over. When the pipe ends, the guard kills the groups that are still held. (Asking the kernel to signal children at their
parent's death would miss grandchildren, and would fire when a mere thread of this process ends.)

This file is run as a script too, so it imports the standard library alone.
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


class Lifeline:
    """Holds process groups; they don't outlive this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._guard: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def hold(self, group: int) -> None:
        """Watch over a process group."""
        self._held.add(group)
        self._send(f"+{group}\n")

    def release(self, group: int) -> None:
        """Forget a process group that has ended: its number may soon be another's."""
        if group in self._held:
            self._held.discard(group)
            self._send(f"-{group}\n")

    def kill_all(self) -> None:
        """Kill every group held, at once. Takes no lock, so a signal handler may call it."""
        kill_groups(self._held.copy())

    def _send(self, message: str) -> None:
        with self._lock:
            if self._guard is None:
                self._guard = self._start_guard()
            if self._guard.stdin and not self._guard.stdin.closed:
                with suppress(BrokenPipeError):  # the guard was killed: we go on without it
                    self._guard.stdin.write(message.encode())
                    self._guard.stdin.flush()

    def _start_guard(self) -> subprocess.Popen[bytes]:
        guard = subprocess.Popen(  # noqa: S603  # our own file
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True
        )
        atexit.register(guard.communicate)  # closes the pipe and waits
        return guard


def kill_groups(groups: set[int]) -> None:
    """Kill process groups; those that are gone already are no matter."""
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def guard() -> None:
    """Read which groups to hold (+) and to release (-) until the pipe ends; then kill what is still held."""
    held: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        held = held | {group} if line[0] == "+" else held - {group}
    kill_groups(held)


lifeline = Lifeline()

if __name__ == "__main__":
    guard()
