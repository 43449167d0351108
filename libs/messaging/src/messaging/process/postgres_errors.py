"""What PostgreSQL's errors may say, and whether the database or a statement caused them.

PostgreSQL adds DETAIL and CONTEXT to an error. They quote whole rows and parameters, and so email addresses and names.
Connections of these classes cut every error down to its SQLSTATE and primary message where it is raised. So log lines,
tracebacks, a delivery's `last_error` and commands can print nothing else.

Primary messages name tables, columns and constraints in double quotes, which operators need. In a data exception
(class 22) or an error that a trigger raises (P0) the quoted part may be a value instead, and is left out. Anything that
looks like an email address is left out of every message.
"""

import re
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import Row

T = TypeVar("T")

_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
_QUOTED = re.compile(r'".*"', re.DOTALL)
_QUOTES_VALUES = ("22", "P0")

_OF_ONE_STATEMENT = ("09", "21", "22", "23", "27", "2F", "38", "39", "40", "44", "54", "P0")
"""SQLSTATE classes of errors that one statement's data or timing can cause. Other statements may succeed meanwhile."""


class TerseConnection(psycopg.Connection[Row]):
    """A connection whose errors consist of a SQLSTATE and a primary message."""

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Wait as psycopg does, and make errors terse."""
        try:
            return super().wait(gen, *args, **kwargs)
        except psycopg.Error as error:
            make_terse(error)
            raise


class AsyncTerseConnection(psycopg.AsyncConnection[Row]):
    """TerseConnection for asyncio."""

    async def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Wait as psycopg does, and make errors terse."""
        try:
            return await super().wait(gen, *args, **kwargs)
        except psycopg.Error as error:
            make_terse(error)
            raise


def make_terse(error: psycopg.Error) -> None:
    """Cut an error of the server down to `SQLSTATE: primary message`. The client library's own errors stay."""
    if error.diag.message_primary is not None:
        error.args = (f"{error.sqlstate}: {_without_values(error.diag.message_primary, str(error.sqlstate))}",)


def _without_values(message: str, sqlstate: str) -> str:
    if sqlstate.startswith(_QUOTES_VALUES):
        message = _QUOTED.sub('"…"', message)
    return _ADDRESS.sub("[address]", message)


def is_database_at_fault(error: BaseException) -> bool:
    """Return whether the database's state (unreachable, schema, rights, resources) caused an error, not one statement.

    If so, the same statement would fail with other data too, and has done nothing, unless the connection broke.
    """
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return not error.sqlstate.startswith(_OF_ONE_STATEMENT) and not isinstance(error, psycopg.errors.LockNotAvailable)


STALE_PLAN = (
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
)
"""A prepared statement is no longer valid: a column has another type, or the session isn't the one that prepared it.
The statement did nothing. It works again once the connection has dropped its prepared statements."""
