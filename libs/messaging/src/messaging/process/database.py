"""PostgreSQL, as workers and the relay use it: a small pool of synchronous connections.

Connections are in autocommit: one statement is one transaction, and a longer transaction is a block of
`connection.transaction()`. No thread holds a connection while it talks to Redis or a mail server.
"""

import math
import select
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, NoReturn, Protocol, TypeVar, overload

import psycopg
from psycopg import BaseConnection, Connection, OperationalError
from psycopg.rows import RowFactory, TupleRow, tuple_row
from psycopg_pool import ConnectionPool

from messaging.errors import DatabaseUnsuitable
from messaging.process import session
from messaging.process.postgres_errors import TerseConnection, is_database_at_fault

NEVER_SILENT: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""A server that vanished without closing its connections is noticed within seconds, not in the kernel's two hours."""

START_SECONDS = 6.0
"""A process that starts waits this long for its database to be checked."""

RENEW_SECONDS = 1.0
"""A connection younger than this isn't replaced after an error on another: a new one would hardly differ."""

RowT = TypeVar("RowT")


class Pooled(BaseConnection[Any]):
    """A connection that knows when it was opened."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opened_at = time.monotonic()


class PooledConnection(Pooled, TerseConnection[TupleRow]):
    """A connection of a worker's or the relay's pool."""


class Renewal:
    """Decides which connections of a pool to replace: those older than the latest error of the database's state.

    Their prepared statements, or settings that they took from the database or role, may be the cause of that error.
    """

    def __init__(self) -> None:
        self._latest = -math.inf

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note the time of an error in this block that is due to the database's state."""
        try:
            yield
        except psycopg.Error as error:
            if is_database_at_fault(error):
                self._latest = time.monotonic()
            raise

    def is_due(self, connection: Pooled) -> bool:
        """Return whether to replace a connection. A young one stays: new connections may meet the same error."""
        opened_at = connection.opened_at
        return opened_at < self._latest and time.monotonic() - opened_at > RENEW_SECONDS


class Pool(ConnectionPool[PooledConnection]):
    """A pool that replaces its connections after an error of the database's state (`Renewal`)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._renewal = Renewal()
        super().__init__(*args, connection_class=PooledConnection, **kwargs)

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[PooledConnection]:
        """Lend a connection."""
        with super().connection(timeout) as connection, self._renewal.watch(), renewed_if_at_fault(connection):
            yield connection

    def getconn(self, timeout: float | None = None) -> PooledConnection:
        """Return a connection that needn't be replaced."""
        while self._renewal.is_due(connection := super().getconn(timeout)):
            connection.close()
            self.putconn(connection)
        return connection


@contextmanager
def renewed_if_at_fault(connection: Connection[TupleRow]) -> Iterator[None]:
    """Close a connection if an error of the database's state arises on it in this block, so that the next one is new.

    Its prepared statements or settings may be the cause: a column may have another type by now, or the role another
    search_path.
    """
    try:
        yield
    except psycopg.Error as error:
        if is_database_at_fault(error):
            connection.close()
        raise


class Connections(Protocol):
    """Anything that lends connections: a pool, or the owner of a single connection."""

    def connection(self) -> AbstractContextManager[Connection[TupleRow]]:
        """Lend a connection."""


def open_pool(database_url: str, *, size: int, name: str, settings: Sequence[str] = ()) -> Pool:
    """Open a pool of at most `size` connections, without waiting for PostgreSQL.

    The pool replaces a connection that has died before it lends it, so a restart of PostgreSQL costs at most one error.

    Args:
        database_url: a checked DATABASE_URL.
        size: the most connections.
        name: the pool's name, in PostgreSQL `herald-<name>`.
        settings: what each connection sets beside `session.PARAMETERS`, like `enable_bitmapscan = off`.
    """
    return Pool(
        database_url,
        min_size=1,
        max_size=size,
        timeout=10,
        reconnect_timeout=1,
        kwargs=options(name),
        configure=partial(_configure, database_url, settings),
        check=_check,
        name=name,
        open=True,
    )


@overload
def connect(database_url: str, *, name: str, settings: Sequence[str] = ()) -> Connection[TupleRow]: ...
@overload
def connect(
    database_url: str, *, name: str, row_factory: RowFactory[RowT], settings: Sequence[str] = ()
) -> Connection[RowT]: ...
def connect(
    database_url: str, *, name: str, row_factory: Any = tuple_row, settings: Sequence[str] = ()
) -> Connection[Any]:
    """Open a single connection like those of a pool (`open_pool`).

    Raises:
        DatabaseUnsuitable: Herald can't work with this database.
        psycopg.Error: PostgreSQL is unreachable, or refuses the connection.
    """
    connection = TerseConnection[Any].connect(database_url, **options(name), row_factory=row_factory)
    try:
        session.prepare(connection, database_url, settings)
    except BaseException:
        connection.close()
        raise
    return connection


def require_suitable(database_url: str) -> None:
    """End the process, with status 2 and one line, if Herald can't work with this database.

    If the database doesn't answer within START_SECONDS the process goes on: each new connection checks again.
    """
    faults: list[DatabaseUnsuitable] = []
    looking = threading.Thread(target=_look, args=(database_url, faults), name="look", daemon=True)
    looking.start()
    looking.join(START_SECONDS)
    if faults:
        refuse(faults[0])


def refuse(fault: DatabaseUnsuitable) -> NoReturn:
    """End the process with status 2 and one line."""
    sys.stderr.write(f"configuration: DATABASE_URL: {fault}\n")
    sys.exit(2)


def _look(database_url: str, faults: list[DatabaseUnsuitable]) -> None:
    try:
        connect(database_url, name="look").close()
    except DatabaseUnsuitable as fault:
        faults.append(fault)
    except psycopg.Error:
        pass  # it is unreachable now, or refuses the connection


def has_ended(connection: BaseConnection[Any]) -> bool:
    """Return whether the server closed an idle connection, which has nothing else to read. A query takes longer."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def options(name: str) -> dict[str, Any]:
    """Return the options to connect as `name`. They override those of the URL."""
    return {"autocommit": True, "application_name": f"herald-{name}", "client_encoding": "utf8", **NEVER_SILENT}


def _configure(database_url: str, settings: Sequence[str], connection: Connection[TupleRow]) -> None:
    with session.refusals_logged():
        session.prepare(connection, database_url, settings)


def _check(connection: Connection[TupleRow]) -> None:
    if has_ended(connection):
        connection.close()  # otherwise the pool would lend it again
        raise OperationalError("the server has closed the connection")
