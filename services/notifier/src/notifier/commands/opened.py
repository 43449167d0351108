"""The notifier's database, as its commands use it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection

from messaging.errors import DatabaseUnsuitable
from messaging.process.database import connect, refuse


@contextmanager
def opened(database_url: str) -> Iterator[Connection[Any]]:
    """Open the database; end the command with one line if that, or a statement in the block, fails."""
    try:
        with connect(database_url, name="command") as connection:
            yield connection
    except DatabaseUnsuitable as fault:
        refuse(fault)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        sys.exit("This database lacks what the command needs. If DATABASE_URL is the notifier's, run: notifier migrate")
    except psycopg.Error as error:
        sys.exit(f"{str(error).strip().splitlines()[0]}. Check DATABASE_URL and that PostgreSQL answers.")
