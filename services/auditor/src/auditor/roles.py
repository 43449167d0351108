"""The rights of the role that auditors connect as, if it isn't the owner of the database.

It writes the log and the chain, and can change neither. It also publishes reports, so it may do with the outbox what
publishers and relays do. `auditor migrate` and `auditor erase` need the owner.
"""

import sys
from typing import LiteralString

import psycopg
from psycopg import sql

from messaging.process.database import connect
from messaging.process.settings import DatabaseSettings, load_or_exit

RIGHTS: dict[LiteralString, LiteralString] = {
    "audit_log": "SELECT, INSERT",
    "audit_seals": "SELECT, INSERT",
    "audit_unsealed": "SELECT, INSERT, DELETE",
    "reports": "SELECT, INSERT",
    **dict.fromkeys(
        ("events", "deliveries", "attempts", "schedule_slots", "delivery_counts", "backlog", "operations"),
        "SELECT, INSERT, UPDATE, DELETE",
    ),
}
"""For each table what the writer may do."""

_GRANT: LiteralString = """
-- Give the writer exactly these rights on a table.
REVOKE ALL ON {table} FROM {writer};
GRANT {rights} ON {table} TO {writer}
"""

_SCHEMA: LiteralString = """
-- Name the schema of the tables.
SELECT current_schema()
"""


def grant(database_url: str, writer: str) -> None:
    """Give the role `writer` its rights; as often as you like.

    Raises:
        psycopg.Error: there is no such role, or the database's user doesn't own the tables.
    """
    role = sql.Identifier(writer)
    with connect(database_url, name="migrate") as connection, connection.transaction():
        [(schema,)] = connection.execute(_SCHEMA).fetchall()
        usage = sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {writer}")
        connection.execute(usage.format(schema=sql.Identifier(schema), writer=role))
        for table, rights in RIGHTS.items():
            granting = sql.SQL(_GRANT).format(table=sql.Identifier(table), writer=role, rights=sql.SQL(rights))
            connection.execute(granting)


class WriterSettings(DatabaseSettings):
    """`auditor_writer`: the role that auditors connect as; None, if they connect as the owner."""

    auditor_writer: str | None = None


def grant_command() -> None:
    """Give AUDITOR_WRITER its rights, if it is set: `auditor migrate` calls this."""
    config = load_or_exit(WriterSettings)
    if config.auditor_writer:
        try:
            grant(config.database_url, config.auditor_writer)
        except psycopg.Error as error:
            sys.exit(f"auditor migrate: AUDITOR_WRITER: {error}")
