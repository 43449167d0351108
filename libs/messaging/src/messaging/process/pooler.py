"""Find out whether a pooler between Herald and PostgreSQL keeps the session of each connection.

Herald's connections have parameters, prepared statements and a LISTEN of their own. A pooler of sessions (PgBouncer's
`pool_mode = session`) keeps them. A pooler that assigns a backend process to each transaction mixes them up.

If there is a pooler, PostgreSQL reports another backend process than the pooler announced when the connection was made.
To find out which kind it is, two connections run transactions in turn: a pooler of transactions lends the backend that
the first has just released to the second.
"""

import threading
from contextlib import suppress
from typing import Any

import psycopg

from messaging.errors import DatabaseUnsuitable

ROUNDS = 10
"""In one round alone, other clients might borrow the backend first and return it in time, and so hide the pooler."""

SECONDS = 5.0
"""The limit for all rounds. An exhausted pool of sessions would let Herald wait, and show nothing of its kind."""

FAULT = (
    "DATABASE_URL leads to a pooler in transaction mode, and Herald needs a session for each connection. "
    "Let the pooler pool sessions (PgBouncer: pool_mode = session), or connect to PostgreSQL itself"
)


def require_sessions(database_url: str) -> None:
    """Return if each connection keeps its backend process.

    Raises:
        DatabaseUnsuitable: connections share backends.
        psycopg.OperationalError: the check failed, or took longer than SECONDS.
    """
    mixed_up: list[bool] = []

    def look() -> None:
        with suppress(psycopg.Error):
            mixed_up.append(_mixes_up(database_url))

    looking = threading.Thread(target=look, name="pooler", daemon=True)
    looking.start()
    looking.join(SECONDS)
    if not mixed_up:
        raise psycopg.OperationalError("DATABASE_URL leads to a pooler, and its mode can't be determined now")
    if mixed_up[0]:
        raise DatabaseUnsuitable(FAULT)


def _mixes_up(database_url: str) -> bool:
    with _connect(database_url) as ours, _connect(database_url) as other:
        try:
            return any(_is_lent_on(ours, other) for _ in range(ROUNDS))
        except psycopg.errors.ProtocolViolation:  # PgBouncer's `pool_mode = statement` allows no transaction
            return True


def _is_lent_on(ours: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool:
    """Return whether the backend of `ours` went to `other` between two transactions, or was replaced."""
    before = _backend(ours)
    with other.transaction():
        return before == _backend(other) or before != _backend(ours)


def _backend(connection: psycopg.Connection[Any]) -> object:
    return connection.execute("SELECT pg_backend_pid()").fetchone()


def _connect(database_url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(database_url, autocommit=True, prepare_threshold=None, connect_timeout=5)
