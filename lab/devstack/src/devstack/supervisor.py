"""Keeps processes running: one that dies is cleared away and started again.

The pause before a new start is a second, and doubles up to thirty with each crash. A process that ran for a minute
starts counting anew.
"""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from devstack.errors import DevstackError, Misconfigured
from devstack.exits import ending, last_error, wrong_setting

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0

MINUTE = 60.0
"""A process that ends within this many seconds of its start has crashed once more in a row."""

LOOP = 3
"""A process that has crashed this many times in a row keeps crashing."""

SETTLED = 5.0
"""Seconds after which a process counts as running even if no log line says that it is ready (see LOG_LEVEL)."""

RECOVERED = 10.0
"""Seconds after which a process that has crashed counts as running again."""


class Runnable(Protocol):
    """A process, or a server that is one."""

    name: str

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""

    @property
    def ready(self) -> bool:
        """Whether it has logged that it is ready for work."""

    @property
    def returncode(self) -> int | None:
        """The exit status (-9: killed by signal 9); None before it has ended."""

    @property
    def last_lines(self) -> Sequence[str]:
        """What it has printed lately or, once it has ended, in its last seconds."""

    def start(self) -> None:
        """Start it."""

    def stop(self) -> None:
        """End it in order."""

    def kill(self) -> None:
        """Clear away all that is left of it."""


class Supervisor:
    """Owns running things, in groups. `note` is given good news for people, `alert` bad news."""

    def __init__(self, note: Callable[[str], None], alert: Callable[[str], None]) -> None:
        self._note = note
        self._alert = alert
        self._groups: list[list[_Watched]] = []

    def start(self, group: Sequence[Runnable]) -> None:
        """Start a group and keep it running."""
        self._groups.append([_Watched(runnable) for runnable in group])
        for watched in self._groups[-1]:
            watched.start()

    def look(self) -> None:
        """Start the processes again that have died and whose pause is over. Call this often.

        Raises:
            Misconfigured: a program's settings don't let it run.
        """
        for watched in self._all():
            if watched.due is None and not watched.runnable.running:
                watched.require_settings()
                self._alert(watched.bury())
            elif watched.due is not None and time.monotonic() >= watched.due:
                self._revive(watched)
            elif watched.missed and watched.is_well():
                watched.missed = False
                self._note(f"{watched.runnable.name} is running again")

    def halt(self, name: str) -> None:
        """End a process in order, and leave it ended until `resume`."""
        watched = self._named(name)
        watched.due = math.inf  # first, so that its end isn't taken for a crash
        watched.runnable.stop()

    def resume(self, name: str) -> None:
        """Start a process again that was halted."""
        self._revive(self._named(name))

    def kill(self, name: str) -> None:
        """Kill a process, as `kill -9` does. The next look finds it dead."""
        self._named(name).runnable.kill()

    @property
    def undecided(self) -> bool:
        """Whether something was started so recently, or has crashed so few times, that it may yet run or crash."""
        return not all(watched.is_well() or watched.keeps_crashing for watched in self._all())

    @property
    def crashing(self) -> list[str]:
        """The names of what keeps crashing."""
        return [watched.runnable.name for watched in self._all() if watched.keeps_crashing]

    def stop(self) -> None:
        """End the groups, the last started first; the members of one at the same time."""
        while self._groups:
            group = self._groups.pop()
            with ThreadPoolExecutor(len(group)) as pool:
                list(pool.map(lambda watched: watched.runnable.stop(), group))

    def _all(self) -> "list[_Watched]":
        return [watched for group in self._groups for watched in group]

    def _named(self, name: str) -> "_Watched":
        return next(watched for watched in self._all() if watched.runnable.name == name)

    def _revive(self, watched: "_Watched") -> None:
        try:
            watched.start()
        except (DevstackError, OSError) as error:
            self._alert(watched.bury(error))


@dataclass
class _Watched:
    runnable: Runnable
    crashes: int = 0
    started: float = 0.0
    due: float | None = None
    missed: bool = False
    """It has crashed, and it hasn't been reported yet that it runs again."""

    def start(self) -> None:
        self.started, self.due = time.monotonic(), None
        self.runnable.start()

    def is_well(self) -> bool:
        """Return whether it can be relied on: at first when it is ready; after a crash, when it has run for a while."""
        lived = time.monotonic() - self.started
        settled = lived >= RECOVERED if self.missed else self.runnable.ready or lived >= SETTLED
        return settled and self.due is None and self.runnable.running

    def require_settings(self) -> None:
        """Don't start a process again if its settings are wrong: they won't change.

        Raises:
            Misconfigured: repeats its error message.
        """
        if fault := wrong_setting(self.runnable.returncode, self.runnable.last_lines):
            raise Misconfigured(f"{self.runnable.name}: {fault}")

    @property
    def keeps_crashing(self) -> bool:
        return self.missed and self.crashes >= LOOP

    def bury(self, error: Exception | None = None) -> str:
        """Clear away what is left, set the time of the next start, and describe what happened and what comes."""
        self.runnable.kill()
        lived = time.monotonic() - self.started
        self.crashes = 1 if lived >= MINUTE else self.crashes + 1
        pause = min(FIRST_PAUSE * 2 ** (self.crashes - 1), LONGEST_PAUSE)
        self.due, self.missed = time.monotonic() + pause, True
        return self._obituary(error, pause)

    def _obituary(self, error: Exception | None, pause: float) -> str:
        how = "could not be started" if error else ending(self.runnable.returncode)
        if self.crashes < LOOP:
            said = f"{self.runnable.name} {how}; restarting in {pause:.0f} s"
        else:
            said = (
                f"{self.runnable.name} keeps crashing: it {how}, {self.crashes} times in a row; "
                f"trying again in {pause:.0f} s"
            )
        reason = str(error) if error else self._last_error()
        return f"{said}. Last error: {reason}" if reason else said

    def _last_error(self) -> str:
        """Return the error that it ended with; what was killed from outside printed none."""
        killed = (self.runnable.returncode or 0) < 0
        return "" if killed else last_error(self.runnable.last_lines)
