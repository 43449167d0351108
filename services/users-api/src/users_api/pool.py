"""The async pool of the web process, and how each of its connections is prepared."""

import asyncio
from functools import partial

from psycopg import AsyncConnection
from psycopg.rows import DictRow, class_row, dict_row
from psycopg_pool import AsyncConnectionPool

from messaging.errors import DatabaseUnsuitable
from messaging.process.database import Pooled, Renewal, options
from messaging.process.postgres_errors import AsyncTerseConnection
from messaging.process.session import SET, Session, parameters, refusals_logged

WAIT_SECONDS = 1.5
"""A request waits for PostgreSQL no longer than this, connection and commit included."""

LOCK_SECONDS = 0.5
"""A statement waits for a lock no longer than this: a waiting group would hold up the groups behind it. Then each
member is tried alone, until its own deadline."""

SETTINGS: tuple[str, ...] = (f"lock_timeout = {LOCK_SECONDS}s", "enable_seqscan = off", "enable_bitmapscan = off")
"""Of each connection. Every query of ours has an index, and a search has one in its order. Without these settings, a
plan that was made while the tables were small (also that of a foreign key's check) would read whole tables or indexes
until they are analysed."""

Connection = AsyncConnection[DictRow]


class PooledConnection(Pooled, AsyncTerseConnection[DictRow]):
    """A connection of the web process's pool."""


class Pool(AsyncConnectionPool[PooledConnection]):
    """Connections whose session is Herald's. `fault`: why the newest was refused, or None."""

    def __init__(self, database_url: str) -> None:
        super().__init__(
            database_url,
            connection_class=PooledConnection,
            min_size=2,
            max_size=10,
            timeout=WAIT_SECONDS,
            reconnect_timeout=1,
            kwargs={**options("api"), "row_factory": dict_row, "connect_timeout": 2},
            configure=self._prepare,
            open=False,
        )
        self.fault: DatabaseUnsuitable | None = None
        self.renewal = Renewal()
        self._url = database_url

    async def _prepare(self, connection: Connection) -> None:
        """Do what `messaging.process.session.prepare` does."""
        cursor = await connection.cursor(row_factory=class_row(Session)).execute(SET, parameters(SETTINGS))
        session = await cursor.fetchone()
        assert session is not None  # noqa: S101  # a count is one row
        look = partial(session.require_suitable, connection.info.backend_pid, self._url)
        try:
            with refusals_logged():
                if session.is_pooled(connection.info.backend_pid):
                    await asyncio.to_thread(look)  # it connects, and waits
                else:
                    look()
        except DatabaseUnsuitable as fault:
            self.fault = fault
            raise
        self.fault = None
