"""The parameters that each connection to PostgreSQL sets, so that those of the database or role don't matter.

Properties that can't be set are checked in the same round trip. Each new connection refuses a database that Herald
can't work with (`DatabaseUnsuitable`), before it does anything else.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, LiteralString

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
"""Parameters of every connection. `synchronous_commit`: what a client was answered is on the disk; a database's
stricter value stays."""

SET: LiteralString = """
-- Set the parameters of this connection, and return what only the server knows.
SELECT count(set_config(name, CASE
        WHEN name = 'synchronous_commit' AND value = 'on' AND current_setting(name) <> 'off' THEN current_setting(name)
        ELSE value END, false)) AS parameters,
    pg_backend_pid() AS backend,
    current_setting('server_encoding') AS encoding,
    current_setting('server_version_num')::int / 10000 AS version
FROM unnest(%(names)s::text[], %(values)s::text[]) AS setting (name, value)
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection as its server sees it. `backend`: the process that answered. `version`: PostgreSQL's major one."""

    parameters: int
    backend: int
    encoding: str
    version: int

    def is_pooled(self, backend: int) -> bool:
        """Return whether there is a pooler: then another process answers than `backend`, the announced one."""
        return self.backend != backend

    def require_suitable(self, backend: int, database_url: str) -> None:
        """Return if Herald can work with this database. `backend`: the process announced for this connection.

        Raises:
            DatabaseUnsuitable: it can't. The error says why, and what to do.
        """
        if self.encoding != ENCODING:
            raise DatabaseUnsuitable(
                f"the database's encoding is {self.encoding}, and Herald needs {ENCODING}. Create another one: "
                f"CREATE DATABASE ... ENCODING '{ENCODING}' TEMPLATE template0"
            )
        if self.version < OLDEST:
            raise DatabaseUnsuitable(f"PostgreSQL {self.version} is too old: Herald needs {OLDEST} or newer")
        if self.is_pooled(backend):
            pooler.require_sessions(database_url)


def parameters(settings: Sequence[str]) -> dict[str, list[str]]:
    """Return the parameters of SET: PARAMETERS and `settings`, like `enable_bitmapscan = off`, as parallel arrays."""
    values = PARAMETERS | dict(setting.split(" = ", 1) for setting in settings)
    return {"names": list(values), "values": list(values.values())}


def prepare(connection: Connection[Any], database_url: str, settings: Sequence[str] = ()) -> None:
    """Set a new connection's parameters.

    Raises:
        DatabaseUnsuitable: Herald can't work with this database, or with the pooler in front of it.
    """
    session = connection.cursor(row_factory=class_row(Session)).execute(SET, parameters(settings)).fetchone()
    assert session is not None  # noqa: S101  # a count is one row
    session.require_suitable(connection.info.backend_pid, database_url)


@contextmanager
def refusals_logged() -> Iterator[None]:
    """Log a refusal, once in a process. The pool reports only timeouts, as if the database were unreachable."""
    try:
        yield
    except DatabaseUnsuitable as fault:
        _log_once(str(fault))
        raise


@cache
def _log_once(fault: str) -> None:
    import structlog  # a command has no log: for that it needn't load it

    structlog.get_logger("database").error("database.unsuitable", error=fault)
