"""Statements of the web process: each request is answered within two seconds, whatever happens in PostgreSQL.

An error is a 503 if it comes from the database's state: unreachable, full, read-only, without a column, a unique key or
a right that Herald needs. The client may try again, and the error is logged for the operator. An error that a
constraint or trigger which isn't Herald's raises for one request (classes 22, 23, 44, P0) stays a 500: trying again
would not help.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import LiteralString, TypeVar

import psycopg
from psycopg.rows import DictRow
from psycopg.sql import Composed
from psycopg_pool import PoolTimeout

from messaging.process.database import has_ended
from messaging.process.postgres_errors import STALE_PLAN, is_database_at_fault
from users_api.pool import WAIT_SECONDS, Connection, Pool, PooledConnection

T = TypeVar("T")

_BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)

UNSUITABLE_SECONDS = 0.5
"""A request waits no longer than this for a connection if the newest one was refused for good."""


class DatabaseUnavailable(Exception):
    """PostgreSQL can't do this now, or didn't answer in time. The request may be sent again, with its Idempotency-Key.

    `sqlstate`: PostgreSQL's error code, if it answered with an error.
    """

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class DatabaseBusy(DatabaseUnavailable):
    """Another transaction holds a lock that this needs, and PostgreSQL gave up waiting. Nothing was done: try again."""


async def using(pool: Pool, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do work of one statement on a connection of the pool: a transaction, committed when it returns.

    If the connection's prepared statements no longer fit, nothing was done: it forgets them, and the work is repeated.
    """
    async with _connected(pool) as connection:
        try:
            return await work(connection)
        except STALE_PLAN:
            await connection.execute("DEALLOCATE ALL")
            return await work(connection)


async def query(pool: Pool, statement: LiteralString | Composed, parameters: dict[str, object]) -> list[DictRow]:
    """Execute one statement and return its rows. It is tried until its caller stops waiting."""

    async def work(connection: Connection) -> list[DictRow]:
        return await (await connection.execute(statement, parameters)).fetchall()

    return await despite_locks(lambda: using(pool, work))


async def despite_locks(work: Callable[[], Awaitable[T]]) -> T:
    """Do work of one statement; each time it gives up waiting for a lock, do it again, until it is cancelled."""
    while True:
        with suppress(psycopg.errors.LockNotAvailable):
            return await work()


@asynccontextmanager
async def _connected(pool: Pool) -> AsyncIterator[PooledConnection]:
    """Lend a connection."""
    connection = await _get_alive(pool)
    try:
        with pool.renewal.watch():
            yield connection
    finally:
        await pool.putconn(connection)


async def _get_alive(pool: Pool) -> PooledConnection:
    """Take a connection that the server hasn't closed, so that its restart costs no request, and that isn't too old."""
    try:
        while True:
            connection = await pool.getconn(UNSUITABLE_SECONDS if pool.fault else None)
            if not (has_ended(connection) or pool.renewal.is_due(connection)):
                return connection
            await connection.close()
            await pool.putconn(connection)
    except PoolTimeout as error:
        raise pool.fault or error from None


async def in_time(work: Awaitable[T]) -> T:
    """Await work on the database, but not for long.

    The work goes on in a task of its own, so that not even cancelling it (psycopg asks the server to) can delay
    the answer.

    Raises:
        DatabaseUnavailable: PostgreSQL can't do it or is too slow; whether the work was committed is unknown.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=WAIT_SECONDS)
        if not done:
            raise too_late()
        with unavailable():
            return task.result()
    finally:
        task.cancel()


def too_late() -> DatabaseUnavailable:
    """Make the error of a request that has waited for WAIT_SECONDS."""
    return DatabaseUnavailable(f"no answer within {WAIT_SECONDS:.1f} s")


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn an error that comes from the database's state into DatabaseUnavailable.

    A missing value is one too: our statements leave none out, so a column that needs one was added from outside.
    """
    try:
        yield
    except _BUSY as error:
        raise DatabaseBusy(str(error), error.sqlstate) from error
    except psycopg.Error as error:
        if is_database_at_fault(error) or isinstance(error, psycopg.errors.NotNullViolation):
            raise DatabaseUnavailable(str(error).strip(), error.sqlstate) from error
        raise
