"""A pooler between Herald and PostgreSQL must leave a connection its session.

Herald's connections have parameters, prepared statements and a LISTEN of their own. A pooler of sessions (PgBouncer's
`pool_mode = session`) keeps them; one that lends PostgreSQL's process anew for each transaction mixes them up.

That there is a pooler shows by itself: PostgreSQL names another process than the one that the connection was told of.
Which kind it is shows when two connections try to get at one process: what has just been let go is what is lent next.
"""

import threading
from contextlib import suppress
from typing import Any

import psycopg

from messaging.errors import DatabaseUnsuitable

ROUNDS = 10
"""Others at work can make one round look innocent, by getting hold of the process first and giving it back in time."""

SECONDS = 5.0
"""For all rounds. A pool of sessions that is exhausted would keep us waiting, and says nothing about its kind."""

FAULT = (
    "a pooler in transaction mode stands before PostgreSQL, and Herald's connections need their sessions. "
    "Let it pool sessions (PgBouncer: pool_mode = session), or connect to PostgreSQL itself"
)


def require_sessions(database_url: str) -> None:
    """Return if each connection keeps its process.

    Raises:
        DatabaseUnsuitable: it doesn't.
        psycopg.OperationalError: there was no telling.
    """
    mixed_up: list[bool] = []

    def look() -> None:
        with suppress(psycopg.Error):
            mixed_up.append(_mixes_up(database_url))

    looking = threading.Thread(target=look, name="pooler", daemon=True)
    looking.start()
    looking.join(SECONDS)
    if not mixed_up:
        raise psycopg.OperationalError("there is a pooler before PostgreSQL, and no telling of which kind it is")
    if mixed_up[0]:
        raise DatabaseUnsuitable(FAULT)


def _mixes_up(database_url: str) -> bool:
    with _connect(database_url) as ours, _connect(database_url) as other:
        try:
            return any(_is_lent_on(ours, other) for _ in range(ROUNDS))
        except psycopg.errors.ProtocolViolation:  # PgBouncer's `pool_mode = statement` allows no transaction
            return True


def _is_lent_on(ours: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool:
    """Tell whether our process, between two transactions of ours, was had by another connection, or is another."""
    before = _process(ours)
    with other.transaction():
        return before == _process(other) or before != _process(ours)


def _process(connection: psycopg.Connection[Any]) -> object:
    return connection.execute("SELECT pg_backend_pid()").fetchone()


def _connect(database_url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(database_url, autocommit=True, prepare_threshold=None, connect_timeout=5)
