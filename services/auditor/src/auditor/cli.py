"""The auditor's command line."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

import typer

from auditor import log as audit_log
from auditor.commands.erase import erase
from auditor.commands.export import export
from auditor.commands.keygen import keygen
from auditor.commands.session import MIGRATE
from auditor.commands.verify import verify
from auditor.roles import grant_command
from messaging.process import settings
from messaging.process.command import as_text, exit_if_database_fails

app = typer.Typer(
    help="Keeps the audit log. The consumer itself runs as: dramatiq auditor.worker", no_args_is_help=True
)

MIGRATIONS = ("auditor.migrations", "auditor.reports.migrations", "messaging.publishing.migrations")


@app.command()
def migrate() -> None:
    """Bring the auditor's database (DATABASE_URL) up to date, and give the role AUDITOR_WRITER its rights."""
    from messaging.process.migrate import migrate_command

    migrate_command("auditor", MIGRATIONS)
    grant_command()


for command in (verify, export, erase, keygen):
    app.command()(command)


@app.command()
def relay() -> None:
    """Move the deliveries of reports between PostgreSQL and Redis. Several may run.

    Not for a database that users-api publishes from too: users-api's relay moves both.
    """
    from auditor import PUBLISHER
    from messaging.relay import main

    main(PUBLISHER)


@app.command()
def log(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new entries until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line, with every field.")] = False,
) -> None:
    """Print the audit log: timestamp | action | email."""
    url = settings.load_or_exit(settings.DatabaseSettings).database_url
    with suppress(KeyboardInterrupt), exit_if_database_fails(MIGRATE, command="auditor log"):
        _print(audit_log.follow(url) if follow else audit_log.entries(url), as_json)


def _print(entries: Iterator[audit_log.Entry], as_json: bool) -> None:
    for entry in entries:
        line = json.dumps(asdict(entry), default=as_text) if as_json else _line(entry)
        typer.echo(line)


def _line(entry: audit_log.Entry) -> str:
    return f"{entry.occurred_at.isoformat(timespec='milliseconds')} | {entry.action} | {entry.email or '[erased]'}"
