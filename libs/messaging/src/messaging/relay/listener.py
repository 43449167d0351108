"""The dispatcher's connection to PostgreSQL: it hears on it that something may be due, and claims that on it too.

The backend that brings the news is awake, and its caches are warm: to wake another one for the claim takes longer.
What is notified while the dispatcher works is kept, and heard by the next wait.
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
    """Hears what was notified since its connection was first lent, even while nobody waits. Replaces one that broke."""

    def __init__(self, database_url: str, settings: Sequence[LiteralString] = ()) -> None:
        self._url = database_url
        self._settings = settings
        self._connection: Connection[TupleRow] | None = None
        self._heard = False

    @contextmanager
    def connection(self) -> Iterator[Connection[TupleRow]]:
        """Lend it. It listens before anything is asked on it: so what isn't heard is seen."""
        if self._connection is None or self._connection.closed:
            self._connection = self._listen()
        with renewed_if_at_fault(self._connection):
            yield self._connection

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait until a notification comes, and tell whether one came in time, or since the last wait.

        Not after `stop` is set: then another must be sent to end this. psycopg's own way to wait wakes ten times a
        second.
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
        """Hang up."""
        if self._connection is not None:
            self._connection.close()

    def _listen(self) -> Connection[TupleRow]:
        connection = connect(self._url, name="dispatch", settings=self._settings)
        connection.add_notify_handler(self._hear)
        try:
            connection.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _has_heard(self, connection: Connection[TupleRow]) -> bool:
        """Tell once. What came with an answer is in libpq's hands already, where nobody can wait for it."""
        while connection.pgconn.notifies():
            self._heard = True
        heard, self._heard = self._heard, False
        return heard

    def _hear(self, _: Notify) -> None:
        self._heard = True
