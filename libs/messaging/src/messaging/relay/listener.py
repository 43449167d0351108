"""A loop's own connection to PostgreSQL, for both notifications and its statements: claims, or operations.

The PostgreSQL process that has just delivered a notification is awake, and its caches are warm; waking another one for
the claim would take longer. Notifications that arrive while the dispatcher works are kept for the next wait.
"""

import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import LiteralString

from psycopg import Connection, Notify
from psycopg.rows import TupleRow

from messaging.process.database import connect, renewed_if_at_fault
from messaging.publishing.outbox import CHANNEL


class Listener:
    """Receives notifications from the moment its connection is first lent. Replaces a connection that broke.

    `channel`: what it listens to. `name`: the loop's.
    """

    def __init__(
        self,
        database_url: str,
        settings: Sequence[LiteralString] = (),
        *,
        channel: LiteralString = CHANNEL,
        name: str = "dispatch",
    ) -> None:
        self._url = database_url
        self._settings = settings
        self._channel = channel
        self._name = name
        self._connection: Connection[TupleRow] | None = None
        self._heard = False

    @contextmanager
    def connection(self) -> Iterator[Connection[TupleRow]]:
        """Lend the connection. It listens before its first query: so a delivery is either notified or queried."""
        if self._connection is None or self._connection.closed:
            self._connection = self._listen()
        with renewed_if_at_fault(self._connection):
            yield self._connection

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait up to `seconds` for a notification, and return whether one has come since the last wait.

        Returns at once if `stop` is set already. If it is set during the wait, only a notification ends the wait early.
        (psycopg's own `notifies` would wake up ten times a second.)
        """
        connection = self._connection
        if stop.is_set() or connection is None:
            return False
        if self._has_heard(connection):
            return True
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        if not poll.poll(1000 * seconds):
            return False
        connection.pgconn.consume_input()
        return self._has_heard(connection)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _listen(self) -> Connection[TupleRow]:
        connection = connect(self._url, name=self._name, settings=self._settings)
        connection.add_notify_handler(self._hear)
        try:
            connection.execute(f"LISTEN {self._channel}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _has_heard(self, connection: Connection[TupleRow]) -> bool:
        """Return whether a notification has come since the last call.

        One that arrived together with a query's result is in libpq's buffer already, where `poll` doesn't see it.
        """
        while connection.pgconn.notifies():
            self._heard = True
        heard, self._heard = self._heard, False
        return heard

    def _hear(self, _: Notify) -> None:
        self._heard = True
