"""A lock that makes one process the owner of a directory. The operating system frees it however the owner ends."""

import fcntl
from pathlib import Path
from typing import IO

from devstack.errors import AlreadyRunning


class Lock:
    """An exclusive lock on a file. The file stays; only the lock counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self, otherwise: str) -> None:
        """Take the lock; AlreadyRunning, with the message `otherwise`, while another process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise AlreadyRunning(otherwise) from None
        self._file = file

    def free(self) -> None:
        """Give the lock up, if we have it."""
        if self._file:
            self._file.close()
            self._file = None
