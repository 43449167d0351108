"""What the commands of all services share: a failing database ends them with one line, and JSON has the same texts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg

from messaging.errors import DatabaseUnsuitable
from messaging.process.database import refuse


@contextmanager
def exit_if_database_fails(migrate: str, *, command: str = "", status: int = 1) -> Iterator[None]:
    """End the process with one line on stderr, if the database can't be opened or a statement in the block fails.

    Args:
        migrate: the command that makes the tables, such as `notifier migrate`.
        command: the name of the command that ends, with which the line begins.
        status: the exit status. A database that Herald can't work with is a wrong setting: always 2.
    """
    try:
        yield
    except DatabaseUnsuitable as fault:
        refuse(fault)
    except psycopg.Error as error:
        sys.stderr.write(f"{command}: {_said(error, migrate)}\n" if command else f"{_said(error, migrate)}\n")
        sys.exit(status)


def _said(error: psycopg.Error, migrate: str) -> str:
    words = (str(error).strip().splitlines() or [type(error).__name__])[0]
    match error:
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            remedy = f"If DATABASE_URL is that of {migrate.partition(' ')[0]}, run: {migrate}"
            return f"{words}: the tables are missing, or of an older version. {remedy}"
        case psycopg.errors.InsufficientPrivilege():
            return f"{words}. Connect as the owner of the database, who runs {migrate}"
        case psycopg.errors.DeadlockDetected():
            return "Another process was working on the same rows, so nothing was changed. Run the command again."
    return f"{words}. Check DATABASE_URL and that PostgreSQL answers."


def as_text(value: object) -> str:
    """Write a value of a row for JSON."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
