"""How a command executes a statement in the database of users-api, and what it says if that fails."""

import getpass
import sys
from contextlib import suppress
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from messaging.errors import DatabaseUnsuitable
from messaging.process.database import connect, refuse
from messaging.process.settings import DatabaseSettings, load_or_exit


def execute(statement: LiteralString, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Execute a statement and return its rows, or end the process with one line that says what to do."""
    url = load_or_exit(DatabaseSettings).database_url
    try:
        with connect(url, name="command", row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()
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


def operator() -> str | None:
    """Return the name of the user who runs this command; None, if the system has no name for it."""
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return None


def as_text(value: object) -> str:
    """Write a value of a row for JSON."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
