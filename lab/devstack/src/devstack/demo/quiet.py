"""The demo's terminal: the story alone. What the processes print is in a file."""

from pathlib import Path

from devstack.terminal import Terminal


class Quiet(Terminal):
    """A terminal that keeps the lines of processes in the file `log`."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("w")

    def say(self, name: str, line: str) -> None:
        """Keep one line of a process."""
        self._log.write(f"{name:9} | {line}\n")
        self._log.flush()
