"""The notifier's database, as its commands use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection

from messaging.process.command import exit_if_database_fails
from messaging.process.database import connect


@contextmanager
def opened(database_url: str) -> Iterator[Connection[Any]]:
    """Open the database; end the command with one line if that, or a statement in the block, fails."""
    with exit_if_database_fails("notifier migrate"), connect(database_url, name="command") as connection:
        yield connection
