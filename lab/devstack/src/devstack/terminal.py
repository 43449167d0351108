"""The output: one line at a time, each with the name of its process, in colour on a terminal.

Printing never fails: when the terminal is gone there is no reader, and children must still be ended.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count

WIDTH = 9
RED = "1;31"
COLOURS = (36, 35, 33, 32, 34, 96, 95, 94)


class Terminal:
    """Prints lines for several speakers, from several threads."""

    def __init__(self) -> None:
        self._colours: dict[str, int] = {}
        self._numbers = count()
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def say(self, name: str, line: str) -> None:
        """Print one line of a process."""
        self._write(f"{self._paint(name.ljust(WIDTH), self._colour(name))} | {line}\n")

    def speaker(self, name: str) -> Callable[[str], None]:
        """Return a function that prints lines in this name."""
        return lambda line: self.say(name, line)

    def progress(self, message: str) -> None:
        """Print progress, with the seconds since the start."""
        self._write(self._paint(f"{time.monotonic() - self._began:8.1f}s | {message}", 1) + "\n")

    def alert(self, message: str) -> None:
        """Print a problem so that it stands out among the lines of processes."""
        prefix = f"!! {time.monotonic() - self._began:5.1f}s | "
        self._write("".join(self._paint(prefix + line, RED) + "\n" for line in message.splitlines()))

    def show(self, text: str) -> None:
        """Print a text as it is."""
        self._write(text + "\n")

    def _colour(self, name: str) -> int:
        if name not in self._colours:
            self._colours[name] = COLOURS[next(self._numbers) % len(COLOURS)]
        return self._colours[name]

    def _paint(self, text: str, colour: int | str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if sys.stdout.isatty() else text

    def _write(self, text: str) -> None:
        with self._lock, suppress(OSError, ValueError):
            sys.stdout.write(text)
            sys.stdout.flush()
