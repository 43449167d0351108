"""The queue in which a worker's threads wait for messages. Dramatiq's own wakes each thread every second."""

from queue import Empty, PriorityQueue
from typing import Any

MOMENT = 0.02
"""`get` waits this many seconds on a closed queue, so that its thread doesn't spin until Dramatiq ends it."""


class WorkQueue(PriorityQueue[Any]):
    """Lets threads sleep until there is a message, or until the queue is closed."""

    _closed = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return a message. While the queue is empty and not closed this waits, whatever `timeout` is.

        Raises:
            Empty: the queue is empty, and it is closed or `block` is false.
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
        """Wake all threads that wait, and let none wait any more."""
        with self.not_empty:
            self._closed = True
            self.not_empty.notify_all()
