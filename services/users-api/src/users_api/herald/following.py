"""An operation that a relay carries out, followed to its end."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import typer

from messaging.publishing import bulk
from messaging.publishing.filtering import Filter, recorded
from users_api.execute import Database
from users_api.herald import output, program

EVERY = 0.2
"""Seconds from one look to the next."""

PATIENCE = 5.0
"""After this many seconds without progress, say what may be wrong. A relay looks for operations as often as that."""


class Progress(Protocol):
    """Shows how far an operation has come."""

    def show(self, row: dict[str, Any]) -> None:
        """Show a row of `operations`."""


@contextmanager
def left_running(number: int) -> Iterator[None]:
    """Let Ctrl-C in this block end this program, with status 130, and not the operation."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(
            f"\nOperation {number} goes on. Follow it: {program()} operations show {number} --follow\n"
            f"Stop it: {program()} operations cancel {number}",
            err=True,
        )
        sys.exit(130)


def follow(opened: Database, number: int) -> dict[str, Any]:
    """Show the progress of an operation until it has ended, and return its row."""
    row = _with_bar(opened, number) if sys.stderr.isatty() else _until_ended(opened, number, None)
    typer.echo(_ending(row), err=True)
    return row


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return an operation in the shape of the HTTP API, its filter as it was recorded."""
    values = {name: value for name, value in row.items() if name not in {"eligible", "exact", "pg_notify"}}
    return values | {"eligible": {"count": row["eligible"], "exact": row["exact"]}}


def load(opened: Database, number: int) -> dict[str, Any]:
    """Return an operation, or end the process."""
    rows = opened.execute(bulk.ONE, {"id": number})
    if not rows:
        sys.exit(f"There is no operation {number}. See: {program()} operations list")
    return rows[0]


def status_of(row: dict[str, Any]) -> int:
    """Return the exit status that says how an operation ended."""
    return 0 if row["state"] == "done" else 1


def meant(row: dict[str, Any]) -> Filter:
    """Return what an operation is about."""
    return recorded(row["filter"])


def _until_ended(opened: Database, number: int, progress: Progress | None) -> dict[str, Any]:
    row, since, warned = load(opened, number), time.monotonic(), False
    while row["state"] == "running":
        if progress:
            progress.show(row)
        time.sleep(EVERY)
        newer = load(opened, number)
        if newer["progress_at"] != row["progress_at"]:
            since, warned = time.monotonic(), False
        elif not warned and time.monotonic() - since > PATIENCE:
            typer.echo(f"no progress for {PATIENCE:.0f} s: does a relay run? {program()} doctor says", err=True)
            warned = True
        row = newer
    if progress:
        progress.show(row)
    return row


def _with_bar(opened: Database, number: int) -> dict[str, Any]:
    from rich import progress as rich_progress
    from rich.console import Console

    columns = rich_progress.TextColumn("{task.description}"), rich_progress.BarColumn()
    counts = rich_progress.MofNCompleteColumn(), rich_progress.TimeElapsedColumn()
    with rich_progress.Progress(*columns, *counts, console=Console(stderr=True)) as bar:
        task = bar.add_task("moving", total=None)

        class Bar:
            def show(self, row: dict[str, Any]) -> None:
                bar.update(task, completed=row["moved"], total=row["eligible"] if row["exact"] else None)

        return _until_ended(opened, number, Bar())


def _ending(row: dict[str, Any]) -> str:
    eligible = output.number_of({"count": row["eligible"], "exact": row["exact"]})
    reason = f": {row['detail']}" if row["detail"] else ""
    return f"operation {row['id']} is {row['state']}: {row['moved']:,} of {eligible} moved{reason}"
