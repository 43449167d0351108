"""Waiting in Redis, in a way that another thread can end.

A thread that waits for Redis' answer hears nothing else. So whoever ends the wait has Redis answer at once (CLIENT
UNBLOCK), and repeats it until the thread is out: the first time may come before Redis has the command that waits.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis

from messaging import transport

PATIENCE = 2.0
"""Seconds for which a wait is told to end. One that doesn't hear it, because Redis refuses CLIENT, ends by itself."""


class Waits:
    """The waits of one process.

    `client`: for the commands that wait, and for nothing else; `timeout`: more seconds than any of them may take. Redis
    knows its connections by `name`.
    """

    def __init__(self, redis_url: str, *, name: str, timeout: float) -> None:
        self.client = transport.connect(redis_url, timeout=timeout, name=name)
        self._name = name
        self._inside: set[object] = set()
        self._over = False

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Enclose a command that waits. Gives whether to wait at all: not when all waits are over."""
        wait = object()
        self._inside.add(wait)  # before it looks: either it sees that waits are over, or `end` sees it
        try:
            yield not self._over
        finally:
            self._inside.discard(wait)

    def end(self, client: redis.Redis) -> None:
        """End all waits, and let none begin any more. `client`: one that doesn't wait."""
        self._over = True
        deadline = time.monotonic() + PATIENCE
        with suppress(redis.RedisError):
            while self._inside and time.monotonic() < deadline:
                self._unblock(client)
                time.sleep(0.01)

    def _unblock(self, client: redis.Redis) -> None:
        for each in client.client_list():
            if each["name"] == self._name:
                client.client_unblock(int(each["id"]))

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
