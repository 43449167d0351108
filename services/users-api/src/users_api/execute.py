"""How a command executes a statement in the database of users-api, and what it says if that fails."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from messaging.errors import DatabaseUnsuitable
from messaging.process.database import connect, refuse
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
    try:
        with connect(url, name="command", row_factory=dict_row, settings=settings) as connection:
            yield Database(connection)
    except DatabaseUnsuitable as fault:
        refuse(fault)
    except psycopg.errors.UndefinedTable as error:
        table = str(error.diag.message_primary).partition('"')[2].partition('"')[0]
        sys.exit(f"This database has no {table} table. If DATABASE_URL is that of users-api, run: users-api migrate")
    except psycopg.errors.UndefinedColumn as error:
        sys.exit(f"{error.diag.message_primary}: the tables are of an older version; run: users-api migrate")
    except psycopg.errors.DeadlockDetected:
        sys.exit("A relay was working on the same deliveries, so nothing was changed. Run the command again.")
    except psycopg.Error as error:
        sys.exit(f"{str(error).strip().splitlines()[0]}. Check DATABASE_URL and that PostgreSQL answers.")


def execute(statement: LiteralString, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Execute one statement and return its rows, or end the process as `database` does."""
    with database() as opened:
        return opened.execute(statement, parameters)


def operator() -> str | None:
    """Return the name of the user who runs this command; None, if the system has no name for it."""
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return None


def as_text(value: object) -> str:
    """Write a value of a row for JSON."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
