"""PostgreSQL, as workers and the relay use it: a small pool of synchronous connections.

Connections are in autocommit: one statement is one transaction, and a longer one says so with
`connection.transaction()`. Nobody holds a connection while talking to Redis or SMTP.
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
"""A server that vanished without a word is noticed within seconds, not in the kernel's two hours."""

LOOK_SECONDS = 6.0
"""For which a process that starts looks at its database."""

RENEW_SECONDS = 1.0
"""A connection that is younger is kept when another shows an error: it is about as new as the next one would be."""

RowT = TypeVar("RowT")


class Pooled(BaseConnection[Any]):
    """A connection that knows since when it has been there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.since = time.monotonic()


class PooledConnection(Pooled, TerseConnection[TupleRow]):
    """A connection of a worker's or the relay's pool."""


class Renewal:
    """Says which connections of a pool are to be replaced: all that are older than the latest error that was the
    database's state. What they have prepared, or taken over from the database's or role's settings, may be why.
    """

    def __init__(self) -> None:
        self._latest = -math.inf

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note the time of an error that is the database's state."""
        try:
            yield
        except psycopg.Error as error:
            if is_database_at_fault(error):
                self._latest = time.monotonic()
            raise

    def is_due(self, connection: Pooled) -> bool:
        """Tell whether to replace this one. A young connection stays for now: the error may be there to stay."""
        return connection.since < self._latest and time.monotonic() - connection.since > RENEW_SECONDS


class Pool(ConnectionPool[PooledConnection]):
    """A pool that doesn't lend a connection again on which the database's state showed, nor the older ones."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._renewal = Renewal()
        super().__init__(*args, connection_class=PooledConnection, **kwargs)

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[PooledConnection]:
        """Lend a connection."""
        with super().connection(timeout) as connection, self._renewal.watch(), renewed_if_at_fault(connection):
            yield connection

    def getconn(self, timeout: float | None = None) -> PooledConnection:
        """Take a connection that isn't to be replaced."""
        while self._renewal.is_due(connection := super().getconn(timeout)):
            connection.close()
            self.putconn(connection)
        return connection


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


def open_pool(database_url: str, *, size: int, name: str, settings: Sequence[str] = ()) -> Pool:
    """Open a pool of at most `size` connections; it doesn't wait for PostgreSQL to be there.

    A connection found dead when it is handed out is replaced, so a restart of PostgreSQL costs one error at most.
    `settings`: what each connection sets beside `session.PARAMETERS`, like `enable_bitmapscan = off`.
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
def connect(database_url: str, *, name: str, row_factory: RowFactory[RowT]) -> Connection[RowT]: ...
def connect(
    database_url: str, *, name: str, row_factory: Any = tuple_row, settings: Sequence[str] = ()
) -> Connection[Any]:
    """Open a single connection like a pool's.

    Raises:
        DatabaseUnsuitable: Herald can't work with this database.
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

    One that isn't to be had within some seconds is no obstacle: then each new connection looks for itself.
    """
    faults: list[DatabaseUnsuitable] = []
    looking = threading.Thread(target=_look, args=(database_url, faults), name="look", daemon=True)
    looking.start()
    looking.join(LOOK_SECONDS)
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
        pass  # it isn't there now, or not for us


def has_ended(connection: BaseConnection[Any]) -> bool:
    """Tell whether the server hung up: an idle connection has nothing else to read. Asking it would take longer."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def options(name: str) -> dict[str, Any]:
    """Return how to connect as `name`: what the URL says of these doesn't count."""
    return {"autocommit": True, "application_name": f"herald-{name}", "client_encoding": "utf8", **NEVER_SILENT}


def _configure(database_url: str, settings: Sequence[str], connection: Connection[TupleRow]) -> None:
    with session.refusals_said():
        session.prepare(connection, database_url, settings)


def _check(connection: Connection[TupleRow]) -> None:
    if has_ended(connection):
        connection.close()  # or the pool would offer it again
        raise OperationalError("the server has closed the connection")
