"""PostgreSQL, as the web process uses it: an async pool, and an answer within two seconds whatever happens there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, TypeVar

import psycopg
from fastapi import Depends, Request
from psycopg import AsyncConnection
from psycopg.rows import DictRow, class_row, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from messaging.database import has_ended, options
from messaging.errors import DatabaseUnsuitable
from messaging.session import SET, Session, parameters, refusals_said

Connection = AsyncConnection[DictRow]
T = TypeVar("T")

WAIT_SECONDS = 1.5
"""A request waits for PostgreSQL no longer than this, connection and commit included."""

_AWAY = (psycopg.OperationalError, psycopg.errors.UndefinedTable, psycopg.errors.ReadOnlySqlTransaction)
"""What says that PostgreSQL isn't ready for anybody: a standby that isn't promoted yet is read-only."""

LOCK_SECONDS = 0.5
"""A statement waits for another's lock no longer than this."""

UNSUITABLE_SECONDS = 0.5
"""A request waits no longer for a connection where the newest was refused for good."""

SETTINGS: tuple[str, ...] = (f"lock_timeout = {LOCK_SECONDS}s", "enable_seqscan = off")
"""No statement waits long for somebody else's lock: all of a group would wait with the one that must. And everything
is found by an index. Else a plan made while the tables were small, also that of a foreign key's check, reads all of
them until they are analysed."""


class DatabaseUnavailable(Exception):
    """PostgreSQL didn't answer in time. The request may be sent again, with its Idempotency-Key."""


class DatabaseBusy(DatabaseUnavailable):
    """Somebody else has what this needs, and PostgreSQL gave up waiting: nothing was done. Try again."""


class Pool(AsyncConnectionPool[Connection]):
    """Connections whose session is Herald's. `fault`: why the newest wasn't taken; None if it was."""

    def __init__(self, database_url: str) -> None:
        super().__init__(
            database_url,
            connection_class=Connection,
            min_size=2,
            max_size=10,
            timeout=WAIT_SECONDS,
            reconnect_timeout=1,
            kwargs={**options("api"), "row_factory": dict_row, "connect_timeout": 2},
            configure=self._prepare,
            open=False,
        )
        self.fault: DatabaseUnsuitable | None = None
        self._url = database_url

    async def _prepare(self, connection: Connection) -> None:
        """Do what `messaging.session.prepare` does."""
        cursor = await connection.cursor(row_factory=class_row(Session)).execute(SET, parameters(SETTINGS))
        session = await cursor.fetchone()
        assert session is not None  # noqa: S101  # a count is one row
        look = partial(session.require_suitable, connection.info.backend_pid, self._url)
        try:
            with refusals_said():
                if session.is_pooled(connection.info.backend_pid):
                    await asyncio.to_thread(look)  # it connects, and waits
                else:
                    look()
        except DatabaseUnsuitable as fault:
            self.fault = fault
            raise
        self.fault = None


def make_pool(database_url: str) -> Pool:
    """Make the pool, closed; opening it doesn't wait for PostgreSQL to be there."""
    return Pool(database_url)


async def _pool_of(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


Database = Annotated[Pool, Depends(_pool_of)]
"""The application's pool, as routes ask for it."""


@asynccontextmanager
async def connected(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection. Each statement is a transaction, committed when it returns: one round trip."""
    connection = await _get_alive(pool)
    try:
        yield connection
    finally:
        await pool.putconn(connection)


async def _get_alive(pool: Pool) -> Connection:
    """Take a connection that the server hasn't closed, so that its restart costs no request."""
    try:
        while has_ended(connection := await pool.getconn(UNSUITABLE_SECONDS if pool.fault else None)):
            await connection.close()
            await pool.putconn(connection)
    except PoolTimeout as error:
        raise pool.fault or error from None
    return connection


async def in_time(work: Awaitable[T], seconds: float = WAIT_SECONDS) -> T:
    """Await work on the database, but not for long.

    The work goes on in a task of its own, so that not even cancelling it (psycopg asks the server to) can delay
    the answer.

    Raises:
        DatabaseUnavailable: PostgreSQL is away or too slow; whether the work was committed is unknown.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if done:
            return task.result()
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise DatabaseBusy(str(error).strip()) from error
    except (*_AWAY, PoolTimeout) as error:
        raise DatabaseUnavailable(str(error).strip()) from error
    finally:
        task.cancel()
    raise DatabaseUnavailable(f"no answer within {seconds:.1f} s")
