"""The relay's ear for PostgreSQL: a connection of its own that hears when something may be due."""

import select
import threading
from typing import Any

import psycopg

from messaging.database import NEVER_SILENT
from messaging.outbox import CHANNEL


class Listener:
    """Hears what was notified since it listens, even while nobody waits. Makes its connection anew when it broke."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection[Any] | None = None

    def listen(self) -> None:
        """Listen, if it doesn't yet. Look for what is due afterwards: what came before wasn't heard."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url, autocommit=True, application_name="herald-listen", **NEVER_SILENT
            )
            self._connection.execute(f"LISTEN {CHANNEL}")

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait until a notification comes, and tell whether one came in time.

        Not after `stop` is set: then another must be sent to end this. psycopg's own way to wait wakes ten times a
        second.
        """
        connection = self._connection
        if stop.is_set() or connection is None:
            return False
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        if not poll.poll(1000 * seconds):
            return False
        connection.pgconn.consume_input()
        while connection.pgconn.notifies():
            pass  # what is due says the table
        return True

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
