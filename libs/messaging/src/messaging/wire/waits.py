"""Blocking commands in Redis that another thread can end.

A thread that is blocked on Redis' reply notices nothing else. To end the wait, another thread makes Redis reply at once
(CLIENT UNBLOCK). It repeats that until the blocked thread is out, because the first CLIENT UNBLOCK may reach Redis
before the blocking command does.

If Redis refuses CLIENT, a wait ends by its own timeout, some seconds later. Nothing else changes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.connection import Connection

from messaging.wire.client import connect

END_SECONDS = 2.0
"""Seconds after which `end` gives up, if Redis accepts CLIENT UNBLOCK and a thread stays blocked all the same."""


class Waits:
    """The blocking commands of one process.

    `client`: for the blocking commands, and for nothing else. `timeout`: seconds, more than any of them may take.
    """

    def __init__(self, redis_url: str, *, timeout: float) -> None:
        self._ids: dict[Connection, int] = {}
        self.client = connect(redis_url, timeout=timeout, redis_connect_func=self._meet)
        self._inside: set[object] = set()
        self._over = False

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Enclose a blocking command. Yields whether to run it at all: False once `end` was called."""
        wait = object()
        self._inside.add(wait)  # before reading `_over`: either this thread sees the end, or `end` sees this wait
        try:
            yield not self._over
        finally:
            self._inside.discard(wait)

    def end(self, client: redis.Redis) -> None:
        """End all waits, and let none begin any more. `client`: one that runs no blocking commands."""
        self._over = True
        deadline = time.monotonic() + END_SECONDS
        with suppress(redis.RedisError):
            while self._inside and time.monotonic() < deadline:
                self._unblock(client)
                time.sleep(0.01)

    def _unblock(self, client: redis.Redis) -> None:
        for connection, client_id in list(self._ids.items()):
            if connection.is_connected:  # otherwise Redis may have given the id to another connection
                client.client_unblock(client_id)

    def _meet(self, connection: Connection) -> None:
        """Ask Redis for the client id of a new connection."""
        self._ids.pop(connection, None)
        connection.on_connect()  # type: ignore[no-untyped-call]  # redis-py has no types here
        connection.send_command("CLIENT", "ID")  # type: ignore[no-untyped-call]  # as above
        with suppress(redis.ResponseError):  # Redis refuses CLIENT
            self._ids[connection] = connection.read_response()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
