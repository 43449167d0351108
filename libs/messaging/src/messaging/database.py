"""PostgreSQL, as workers and the relay use it: a small pool of synchronous connections.

Connections are in autocommit: one statement is one transaction, and a longer one says so with
`connection.transaction()`. Nobody holds a connection while talking to Redis or SMTP.
"""

import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, LiteralString, Protocol

import psycopg
from psycopg import BaseConnection, Connection, OperationalError
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from messaging.postgres_errors import TerseConnection, is_database_at_fault

NEVER_SILENT: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""A server that vanished without a word is noticed within seconds, not in the kernel's two hours."""


class Pool(ConnectionPool[Connection[TupleRow]]):
    """A pool that doesn't lend a connection again on which the database's state showed."""

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection[TupleRow]]:
        """Lend a connection."""
        with super().connection(timeout) as connection, renewed_if_at_fault(connection):
            yield connection


@contextmanager
def renewed_if_at_fault(connection: Connection[TupleRow]) -> Iterator[None]:
    """Close a connection when an error arises on it that is the database's state, so that the next one is new.

    What it has prepared or set may be why: a column has another type since, or the role another search_path.
    """
    try:
        yield
    except psycopg.Error as error:
        if is_database_at_fault(error):
            connection.close()
        raise


class Connections(Protocol):
    """Lends connections: a pool, or who has one of its own."""

    def connection(self) -> AbstractContextManager[Connection[TupleRow]]:
        """Lend one."""


def open_pool(database_url: str, *, size: int, name: str, settings: Sequence[LiteralString] = ()) -> Pool:
    """Open a pool of at most `size` connections; it doesn't wait for PostgreSQL to be there.

    A connection found dead when it is handed out is replaced, so a restart of PostgreSQL costs one error at most.
    `settings`: what each connection sets for itself, like `enable_bitmapscan = off`.
    """
    return Pool(
        database_url,
        connection_class=TerseConnection[TupleRow],
        min_size=1,
        max_size=size,
        timeout=10,
        reconnect_timeout=1,
        kwargs=_options(name),
        configure=partial(configure, settings=settings),
        check=_check,
        name=name,
        open=True,
    )


def connect(database_url: str, *, name: str, prepare: Callable[[Connection[TupleRow]], None]) -> Connection[TupleRow]:
    """Open a single connection like a pool's; it is `prepare`d, or there is none."""
    connection = TerseConnection[TupleRow].connect(database_url, **_options(name))
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def configure(connection: Connection[TupleRow], settings: Sequence[LiteralString]) -> None:
    """Set what a connection sets for itself."""
    for setting in settings:
        connection.execute(f"SET {setting}")


def has_ended(connection: BaseConnection[Any]) -> bool:
    """Tell whether the server hung up: an idle connection has nothing else to read. Asking it would take longer."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _options(name: str) -> dict[str, Any]:
    return {"autocommit": True, "application_name": f"herald-{name}", **NEVER_SILENT}


def _check(connection: Connection[TupleRow]) -> None:
    if has_ended(connection):
        connection.close()  # or the pool would offer it again
        raise OperationalError("the server has closed the connection")
