"""Where a worker's threads wait for messages. Dramatiq's own wakes each thread every second, to see a shutdown."""

from queue import Empty, PriorityQueue
from typing import Any

MOMENT = 0.02
"""Seconds for which a closed queue is waited for: those who close it are about to end the threads that wait."""


class WorkQueue(PriorityQueue[Any]):
    """Lets threads sleep until there is a message, or until it is closed."""

    _closed = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return a message. An empty queue is waited for until it is closed, whatever the timeout.

        Raises:
            Empty: there is none.
        """
        with self.not_empty:
            while block and not self._closed and not self._qsize():
                self.not_empty.wait()
            if block and not self._qsize():
                self.not_empty.wait(MOMENT)
            if not self._qsize():
                raise Empty
            return self._get()

    def close(self) -> None:
        """Wake everyone."""
        with self.not_empty:
            self._closed = True
            self.not_empty.notify_all()
