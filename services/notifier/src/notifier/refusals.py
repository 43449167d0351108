"""Refusals that aren't about their mails, such as a quota or a sender that isn't ours: a few in a row are about all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from notifier.errors import SendingRefused, ServerAway


class Refusals(threading.local):
    """Counts them for each thread. The `limit`-th in a row means that the server is away for all mails."""

    def __init__(self, limit: int = 3) -> None:
        self._limit, self._in_a_row = limit, 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the SendingRefused that the block raises; the one that fills a row is raised as ServerAway."""
        in_a_row, self._in_a_row = self._in_a_row + 1, 0
        try:
            yield
        except SendingRefused as error:
            if in_a_row == self._limit:
                raise ServerAway(f"{error}; so were the {in_a_row - 1} mails before, and the rest wait") from error
            self._in_a_row = in_a_row
            raise
