"""Migrations by Alembic: each service has its own, in hand-written SQL, and one runner applies them.

A service's revisions are kept in a table that is named for the service, so services may share a database. If two of
them then need the same tables, those of the outbox, the service that migrates second adopts what the first has applied.
Concurrent runs wait for each other. The database's `search_path` decides in which schema tables are created.
"""

import sys
from collections.abc import Sequence
from importlib import resources
from typing import LiteralString

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.rows import TupleRow
from sqlalchemy import Connection, String, column, create_engine, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from messaging.errors import DatabaseUnsuitable, MessagingError
from messaging.process.database import connect, refuse
from messaging.process.revisions import revisions, version_table
from messaging.process.settings import DatabaseSettings, load_or_exit

_LOCK = 0x48455241  # "HERA": any number, the same for every service


class MigrationError(MessagingError):
    """The database can't be brought up to date. Check DATABASE_URL and that PostgreSQL answers."""


def migrate(database_url: str, *, service: str, packages: Sequence[str]) -> None:
    """Bring the database up to the newest revision found in `packages`, such as `users_api.migrations`.

    Raises:
        MigrationError: PostgreSQL is unreachable, or refuses; nothing was changed.
        DatabaseUnsuitable: Herald can't work with this database; nothing was changed.
    """
    ours = _connect(database_url)
    engine = create_engine("postgresql+psycopg://", creator=lambda: ours, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config = _config(packages)
            config.attributes.update(connection=connection, version_table=version_table(service))
            for revision in _applied_by_others(connection, service) & revisions(packages).every:
                _adopt(config, connection, revision)
            command.upgrade(config, "heads")
    except DBAPIError as error:
        raise MigrationError(f"{_first_line(error.orig)}. Nothing was changed.") from None


_OTHERS: LiteralString = """
-- Return the tables in which other services keep their revisions, in the schema in which this one creates its tables.
SELECT table_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name LIKE '%\\_revision' AND table_name <> :table
    AND column_name = 'version_num'
"""


def _applied_by_others(connection: Connection, service: str) -> set[str]:
    tables = connection.execute(text(_OTHERS), {"table": version_table(service)}).scalars().all()
    statements = (select(column("version_num", String)).select_from(table(name)) for name in tables)
    return {revision for statement in statements for revision in connection.execute(statement).scalars()}


def _adopt(config: Config, connection: Connection, revision: str) -> None:
    """Take a revision that another service has applied as applied, unless ours is as new."""
    script = ScriptDirectory.from_config(config)
    ours = MigrationContext.configure(connection, opts={"version_table": config.attributes["version_table"]})
    known = {each.revision for head in ours.get_current_heads() for each in script.iterate_revisions(head, "base")}
    if revision not in known:
        command.stamp(config, revision)


def _connect(database_url: str) -> psycopg.Connection[TupleRow]:
    try:
        connection = connect(database_url, name="migrate")
    except DatabaseUnsuitable:
        raise
    except psycopg.Error as error:
        raise MigrationError(f"{_first_line(error)}. Check DATABASE_URL and that PostgreSQL answers.") from None
    connection.autocommit = False
    return connection


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".?")


def _config(packages: Sequence[str]) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("messaging.process") / "alembic"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(resources.files(package)) for package in packages))
    return config


def migrate_command(service: str, packages: Sequence[str]) -> None:
    """Run `<service> migrate` on DATABASE_URL: a service's command line calls this.

    Ends the process with status 1 on failure, and with 2 if Herald can't work with the database.
    """
    settings = load_or_exit(DatabaseSettings)
    try:
        migrate(settings.database_url, service=service, packages=packages)
    except DatabaseUnsuitable as fault:
        refuse(fault)
    except MigrationError as error:
        sys.exit(f"{service.replace('_', '-')} migrate: {error}")
    sys.stdout.write(f"{service}: the database is up to date\n")
