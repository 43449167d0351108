"""How a command executes a statement in the database of users-api, and what it says if that fails."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from messaging.process.command import exit_if_database_fails
from messaging.process.database import connect
from messaging.process.settings import DatabaseSettings, load_or_exit
from messaging.publishing.searching import Reading

T = TypeVar("T")


class Database:
    """An open connection to the database of users-api."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self._connection = connection

    def execute(self, statement: LiteralString, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """Execute a statement and return its rows."""
        return self._connection.execute(statement, parameters).fetchall()

    def run(self, reading: Reading[T]) -> T:
        """Execute the statements of a reading, each by itself, and return its result."""
        try:
            statement, parameters = next(reading)
            while True:
                statement, parameters = reading.send(self.execute(statement, parameters))
        except StopIteration as end:
            result: T = end.value
            return result


@contextmanager
def database(*settings: str) -> Iterator[Database]:
    """Lend the database of users-api, or end the process with one line that says what to do.

    `settings`: of the connection, such as `enable_seqscan = off`.
    """
    url = load_or_exit(DatabaseSettings).database_url
    failing = exit_if_database_fails("users-api migrate")
    with failing, connect(url, name="command", row_factory=dict_row, settings=settings) as connection:
        yield Database(connection)


def execute(statement: LiteralString, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Execute one statement and return its rows, or end the process as `database` does."""
    with database() as opened:
        return opened.execute(statement, parameters)


def operator() -> str | None:
    """Return the name of the user who runs this command; None, if the system has no name for it."""
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return None
