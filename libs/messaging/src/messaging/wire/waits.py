"""Waiting in Redis, in a way that another thread can end.

A thread that waits for Redis' answer hears nothing else. So whoever ends the wait has Redis answer at once (CLIENT
UNBLOCK), and repeats it until the thread is out: the first time may come before Redis has the command that waits.

A Redis that refuses CLIENT refuses this alone: then a wait ends by itself, some seconds later.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.connection import Connection

from messaging.wire.client import connect

END_SECONDS = 2.0
"""Seconds for which the end of a wait is asked for, if Redis takes it and nothing happens."""


class Waits:
    """The waits of one process.

    `client`: for the commands that wait, and for nothing else; `timeout`: more seconds than any of them may take.
    """

    def __init__(self, redis_url: str, *, timeout: float) -> None:
        self._ids: dict[Connection, int] = {}
        self.client = connect(redis_url, timeout=timeout, redis_connect_func=self._meet)
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
        deadline = time.monotonic() + END_SECONDS
        with suppress(redis.RedisError):
            while self._inside and time.monotonic() < deadline:
                self._unblock(client)
                time.sleep(0.01)

    def _unblock(self, client: redis.Redis) -> None:
        for connection, number in list(self._ids.items()):
            if connection.is_connected:  # else its number may be another's by now
                client.client_unblock(number)

    def _meet(self, connection: Connection) -> None:
        """Ask Redis for its number of a new connection."""
        self._ids.pop(connection, None)
        connection.on_connect()  # type: ignore[no-untyped-call]  # redis-py has no types here
        connection.send_command("CLIENT", "ID")  # type: ignore[no-untyped-call]  # as above
        with suppress(redis.ResponseError):  # CLIENT is refused
            self._ids[connection] = connection.read_response()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
