"""Keeps what should run running: what dies is cleared away and started again.

The pause before a new start is a second, and doubles up to thirty while a process dies within ten seconds.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from devstack.errors import DevstackError

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
YOUNG = 10.0


class Runnable(Protocol):
    """A process, or a server that is one."""

    name: str

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""

    def start(self) -> None:
        """Start it."""

    def stop(self) -> None:
        """End it in order."""

    def kill(self) -> None:
        """Clear away all that is left of it."""


class Supervisor:
    """Owns running things, in groups. `tell` is given each note for people."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._groups: list[list[_Watched]] = []

    def start(self, group: Sequence[Runnable]) -> None:
        """Start a group and keep it running."""
        self._groups.append([_Watched(runnable) for runnable in group])
        for watched in self._groups[-1]:
            watched.start()

    def look(self) -> None:
        """Start again what has died and whose pause is over. Call this often."""
        for watched in [each for group in self._groups for each in group]:
            if watched.due is None and not watched.runnable.running:
                self._tell(f"{watched.runnable.name} has ended; starting it again in {watched.bury():.0f} s")
            elif watched.due is not None and time.monotonic() >= watched.due:
                self._revive(watched)

    def stop(self) -> None:
        """End the groups, the last started first; the members of one at the same time."""
        while self._groups:
            group = self._groups.pop()
            with ThreadPoolExecutor(len(group)) as pool:
                list(pool.map(lambda watched: watched.runnable.stop(), group))

    def _revive(self, watched: "_Watched") -> None:
        try:
            watched.start()
        except (DevstackError, OSError) as error:
            pause = watched.bury()
            self._tell(f"{watched.runnable.name} could not be started; again in {pause:.0f} s: {error}")
        else:
            self._tell(f"{watched.runnable.name} runs again")


@dataclass
class _Watched:
    runnable: Runnable
    pause: float = FIRST_PAUSE
    started: float = 0.0
    due: float | None = None

    def start(self) -> None:
        self.started, self.due = time.monotonic(), None
        self.runnable.start()

    def bury(self) -> float:
        """Clear away what is left, and return the seconds until the next start."""
        self.runnable.kill()
        if time.monotonic() - self.started >= YOUNG:
            self.pause = FIRST_PAUSE
        pause, self.pause = self.pause, min(self.pause * 2, LONGEST_PAUSE)
        self.due = time.monotonic() + pause
        return pause
