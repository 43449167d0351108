"""What the commands share: a connection, progress on a terminal, and an error that ends the command."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import psycopg
import typer

from auditor.chain.seals import read_head
from messaging.process import settings
from messaging.process.command import exit_if_database_fails
from messaging.process.database import connect

MIGRATE = "auditor migrate"


@contextmanager
def database(command: str, status: int) -> Iterator[psycopg.Connection[Any]]:
    """Connect to DATABASE_URL. An error of the database ends the command with this status."""
    url = settings.load_or_exit(settings.DatabaseSettings).database_url
    failing = exit_if_database_fails(MIGRATE, command=f"auditor {command}", status=status)
    with failing, connect(url, name=command) as connection:
        yield connection


@contextmanager
def progress_bar(doing: str, connection: psycopg.Connection[Any]) -> Iterator[Callable[[int], None]]:
    """Show progress on a terminal: the number of rows that are done."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=read_head(connection).rows)
        yield lambda done: bar.update(task, completed=done)


def counted(number: int, noun: str) -> str:
    """Write a number and its noun: 1 row, 2 rows, 2 addresses."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}" + ("" if number == 1 else plural)


def end(command: str, why: str, status: int) -> NoReturn:
    """End a command with one line on stderr."""
    typer.echo(f"auditor {command}: {why}", err=True)
    raise typer.Exit(status)
