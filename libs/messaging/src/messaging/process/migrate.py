"""Migrations by Alembic: each service has its own, in hand-written SQL, and one runner applies them.

A service's revisions are kept in a table that is named for the service, so services may share a database. If two of
them then need the same tables, those of the outbox, the service that migrates second adopts what the first has applied.
The database's `search_path` decides in which schema tables are created.

Migrations are one transaction, but for those that build an index while others write (`messaging.process.indexes`).
Concurrent runs wait for each other: by asking again and again for a lock of the session. A run that waited in a
statement would have a snapshot, the build of an index waits for older snapshots to end, and both would wait forever.
"""

import sys
import time
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
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from messaging.errors import DatabaseUnsuitable, MessagingError
from messaging.process.database import connect, refuse
from messaging.process.indexes import COMMITTED
from messaging.process.revisions import revisions, version_table
from messaging.process.settings import DatabaseSettings, load_or_exit

_LOCK = 0x48455241  # "HERA": any number, the same for every service
_ASK_SECONDS = 0.1


class MigrationError(MessagingError):
    """The database can't be brought up to date. Check DATABASE_URL and that PostgreSQL answers."""


def migrate(database_url: str, *, service: str, packages: Sequence[str]) -> None:
    """Bring the database up to the newest revision found in `packages`, such as `users_api.migrations`.

    Raises:
        MigrationError: PostgreSQL is unreachable, or refuses. The message says whether something was changed.
        DatabaseUnsuitable: Herald can't work with this database; nothing was changed.
    """
    ours = _connect(database_url)
    engine = create_engine("postgresql+psycopg://", creator=lambda: ours, poolclass=NullPool)
    config = _config(packages)
    try:
        with engine.connect() as connection:
            config.attributes.update(connection=connection, version_table=version_table(service))
            with connection.begin():
                for revision in _applied_by_others(connection, service) & revisions(packages).every:
                    _adopt(config, connection, revision)
            command.upgrade(config, "heads")
    except SQLAlchemyError as error:
        fault = error if isinstance(error, DBAPIError) else error.__context__  # of a connection that was cut off
        if not isinstance(fault, DBAPIError):
            raise
        kept = "Run it again: it goes on from there" if COMMITTED in config.attributes else "Nothing was changed"
        raise MigrationError(f"{_first_line(fault.orig)}. {kept}.") from None


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
    """Connect, and wait until no other migration runs. The lock ends with the connection."""
    try:
        connection = connect(database_url, name="migrate")
        while connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
            time.sleep(_ASK_SECONDS)
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
