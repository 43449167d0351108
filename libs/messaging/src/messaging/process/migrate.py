"""Migrations by Alembic: each service has its own, in hand-written SQL, and one runner applies them.

A service's revisions are kept in a table that is named for the service, so services may share a database. Concurrent
runs wait for each other. The database's `search_path` decides in which schema tables are created.
"""

import sys
from collections.abc import Sequence
from importlib import resources

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.rows import TupleRow
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from messaging.errors import DatabaseUnsuitable, MessagingError
from messaging.process.database import connect, refuse
from messaging.process.revisions import version_table
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
            command.upgrade(config, "heads")
    except DBAPIError as error:
        raise MigrationError(f"{_first_line(error.orig)}. Nothing was changed.") from None


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
