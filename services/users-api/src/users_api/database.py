"""PostgreSQL, as the web process uses it: an async pool, and an answer within two seconds whatever happens there."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import psycopg
from fastapi import Depends, Request
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from messaging.database import NEVER_SILENT, has_ended

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]
T = TypeVar("T")

WAIT_SECONDS = 1.5
"""A request waits for PostgreSQL no longer than this, connection and commit included."""


class DatabaseUnavailable(Exception):
    """PostgreSQL didn't answer in time. The request may be sent again, with its Idempotency-Key."""


def make_pool(database_url: str) -> Pool:
    """Make the pool, closed; opening it doesn't wait for PostgreSQL to be there."""
    return AsyncConnectionPool(
        database_url,
        connection_class=Connection,
        min_size=2,
        max_size=10,
        timeout=WAIT_SECONDS,
        reconnect_timeout=1,
        kwargs={"row_factory": dict_row, "application_name": "herald-api", **NEVER_SILENT, "connect_timeout": 2},
        open=False,
    )


def _pool_of(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


Database = Annotated[Pool, Depends(_pool_of)]
"""The application's pool, as routes ask for it."""


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection in a transaction: committed when the block ends, rolled back when it raises."""
    connection = await _get_alive(pool)
    try:
        async with connection:
            yield connection
    finally:
        await pool.putconn(connection)


async def _get_alive(pool: Pool) -> Connection:
    """Take a connection that the server hasn't closed, so that its restart costs no request."""
    while has_ended(connection := await pool.getconn()):
        await connection.close()
        await pool.putconn(connection)
    return connection


async def in_time(work: Coroutine[Any, Any, T]) -> T:
    """Await work on the database, but not for long.

    The work goes on in a task of its own, so that not even cancelling it (psycopg asks the server to) can delay
    the answer.

    Raises:
        DatabaseUnavailable: PostgreSQL is away or too slow; whether the work was committed is unknown.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=WAIT_SECONDS)
        if done:
            return task.result()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable, PoolTimeout) as error:
        raise DatabaseUnavailable(str(error).strip()) from error
    finally:
        task.cancel()
    raise DatabaseUnavailable(f"no answer within {WAIT_SECONDS} s")
