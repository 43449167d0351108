"""Can Herald work with PostgreSQL, and are the tables those of this version?"""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from messaging.errors import DatabaseUnsuitable
from messaging.process.database import connect
from messaging.process.revisions import revisions, version_table
from users_api import MIGRATIONS
from users_api.herald.doctor.finding import Finding
from users_api.status.judging import FULL

_SERVER: LiteralString = """
SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS encoding,
    current_setting('max_connections')::int AS most, pg_is_in_recovery() AS is_standby,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections
"""


def check(url: str) -> Iterator[Finding]:
    """Connect, as every process of Herald does, and look."""
    try:
        with connect(url, name="doctor", row_factory=dict_row) as connection:
            yield from _server(connection.execute(_SERVER).fetchall()[0])
            yield _migrations(connection)
    except DatabaseUnsuitable as fault:
        yield Finding("postgresql", "wrong", str(fault), "Use another database or server, as it says.")
    except psycopg.Error as error:
        words = str(error).strip().splitlines()[0]
        yield Finding("postgresql", "wrong", words, "Start PostgreSQL, or correct DATABASE_URL.")


def _server(row: dict[str, Any]) -> Iterator[Finding]:
    if row["is_standby"]:
        yield Finding("postgresql", "wrong", "a standby, which is read-only", "Name the primary in DATABASE_URL.")
    else:
        yield Finding("postgresql", "ok", f"{row['version']}, {row['encoding']}, reachable")
    used = f"{row['connections']} of {row['most']} in use"
    if row["connections"] < FULL * row["most"]:
        yield Finding("connections", "ok", used)
    else:
        yield Finding("connections", "look", used, "Raise max_connections, or run fewer processes.")


def _migrations(connection: "psycopg.Connection[dict[str, Any]]") -> Finding:
    table = sql.Identifier(version_table("users_api"))
    try:
        rows = connection.execute(sql.SQL("SELECT version_num FROM {}").format(table)).fetchall()
    except psycopg.errors.UndefinedTable:
        remedy = "If DATABASE_URL is that of users-api, and its search_path is right: users-api migrate"
        return Finding("migrations", "wrong", "this database has no tables of users-api", remedy)
    missing = revisions(MIGRATIONS).missing({row["version_num"] for row in rows})
    if missing:
        return Finding("migrations", "wrong", f"{', '.join(sorted(missing))} not applied", "users-api migrate")
    return Finding("migrations", "ok", "up to date")
