"""How long to wait for a mail server, and what to do in the meantime."""

import time
from typing import Protocol

_SHORTEST = 0.001


class Errand(Protocol):
    """What the sender has to do, at the latest when it falls due, however long a server lets it wait."""

    def due_in(self) -> float:
        """Seconds until it should be run; infinite, if there is nothing to do."""

    def run(self) -> None:
        """Do it now. What goes wrong with it is not the mail's matter, and isn't raised."""


class Deadline:
    """A moment by which a whole conversation must be over. `errand`: what to do in long waits."""

    def __init__(self, seconds: float, errand: Errand | None = None) -> None:
        self._end = time.monotonic() + seconds
        self._errand = errand

    def left(self) -> float:
        """Give the seconds that remain, always more than 0.

        Raises:
            TimeoutError: none remain.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the mail server took too long")
        return left

    def part(self, share: float) -> "Deadline":
        """Give a deadline that is over when this share of the remaining time is.

        Raises:
            TimeoutError: none remains.
        """
        return Deadline(self.left() * share, self._errand)

    def patience(self) -> float:
        """Run the errand, if it is due, and give the seconds to wait before asking again.

        Raises:
            TimeoutError: none remain.
        """
        if self._errand is None:
            return self.left()
        if self._errand.due_in() <= 0:
            self._errand.run()
        return min(self.left(), max(self._errand.due_in(), _SHORTEST))

    def before_long(self) -> None:
        """Run the errand now: what comes can't be interrupted."""
        if self._errand is not None:
            self._errand.run()
