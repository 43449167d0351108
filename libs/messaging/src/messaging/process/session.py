"""What each connection to PostgreSQL sets for itself, so that it matters to nobody what the database or role sets.

What can't be set is looked at in the same round trip: a database that Herald can't work with is refused on each new
connection, before anything else is done there (`DatabaseUnsuitable`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, LiteralString

import structlog
from psycopg import Connection
from psycopg.rows import class_row

from messaging.errors import DatabaseUnsuitable
from messaging.process import pooler

OLDEST = 14
ENCODING = "UTF8"

PARAMETERS = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "default_transaction_isolation": "read committed",
    "idle_session_timeout": "0",
    "synchronous_commit": "on",
}
"""Of every connection. `synchronous_commit`: what was answered is on the disk; a stricter setting stays as it is."""

SET: LiteralString = """
-- Set what this connection needs, and say what only the server knows.
SELECT count(set_config(name, CASE
        WHEN name = 'synchronous_commit' AND value = 'on' AND current_setting(name) <> 'off' THEN current_setting(name)
        ELSE value END, false)) AS parameters,
    pg_backend_pid() AS backend,
    current_setting('server_encoding') AS encoding,
    current_setting('server_version_num')::int / 10000 AS version
FROM unnest(%(names)s::text[], %(values)s::text[]) AS setting (name, value)
"""

log: structlog.stdlib.BoundLogger = structlog.get_logger("database")


@dataclass(frozen=True, slots=True)
class Session:
    """A connection as its server sees it. `backend`: the process that answered; `version`: the major one."""

    parameters: int
    backend: int
    encoding: str
    version: int

    def is_pooled(self, backend: int) -> bool:
        """Whether a pooler stands between: then another process answers than `backend`, which it told us of."""
        return self.backend != backend

    def require_suitable(self, backend: int, database_url: str) -> None:
        """Refuse what Herald can't work with. `backend`: as above.

        Raises:
            DatabaseUnsuitable: says why, and what to do.
        """
        if self.encoding != ENCODING:
            raise DatabaseUnsuitable(
                f"the database's encoding is {self.encoding}, and Herald needs {ENCODING}. Make another one: "
                f"CREATE DATABASE ... ENCODING '{ENCODING}' TEMPLATE template0"
            )
        if self.version < OLDEST:
            raise DatabaseUnsuitable(f"PostgreSQL {self.version} is too old: Herald needs {OLDEST} or newer")
        if self.is_pooled(backend):
            pooler.require_sessions(database_url)


def parameters(settings: Sequence[str]) -> dict[str, list[str]]:
    """Return what SET sets: what every connection needs, and `settings`, like `enable_bitmapscan = off`."""
    wanted = PARAMETERS | dict(setting.split(" = ", 1) for setting in settings)
    return {"names": list(wanted), "values": list(wanted.values())}


def prepare(connection: Connection[Any], database_url: str, settings: Sequence[str] = ()) -> None:
    """Set a new connection's parameters.

    Raises:
        DatabaseUnsuitable: this database, or what stands before it, can't serve.
    """
    session = connection.cursor(row_factory=class_row(Session)).execute(SET, parameters(settings)).fetchone()
    assert session is not None  # noqa: S101  # a count is one row
    session.require_suitable(connection.info.backend_pid, database_url)


@contextmanager
def refusals_said() -> Iterator[None]:
    """Say, once in a process, what every new connection of a pool meets: else it would only seem to be away."""
    try:
        yield
    except DatabaseUnsuitable as fault:
        _say(str(fault))
        raise


@cache
def _say(fault: str) -> None:
    log.error("database.unsuitable", error=fault)
