"""The commands on schedules: when each made its last event and makes its next one, and an extra event now."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from contracts import SCHEDULES
from messaging.process.settings import exit_if_wrong
from messaging.publishing.schedules import LAST, RUN, TIME, running
from messaging.publishing.slots import require_readable
from users_api.execute import as_text, execute, operator
from users_api.scheduled import NAMES, NoEffect, extra, listed, named

app = typer.Typer(help="List schedules; make an extra event of one now.", no_args_is_help=True)


@app.command("list")
def list_schedules(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line, with every field.")] = False,
) -> None:
    """List the schedules, with the last slot of each that was made, and its next one."""
    rows = list(_listed())
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, default=as_text))
    else:
        _print_table(rows)


@app.command("run")
def run_schedule(name: str) -> None:
    """Make an extra event of a schedule now. Its slot is the current time; the schedule itself goes on as before."""
    schedule = named(name)
    if schedule is None:
        sys.exit(f"There is no schedule {name}. Schedules: {', '.join(NAMES)}")
    [row] = execute(TIME, {})
    try:
        with exit_if_wrong():
            event, effects = extra(schedule, row["now"])
    except NoEffect as refusal:
        sys.exit(str(refusal))
    execute(RUN, running(schedule, event, operator()))
    typer.echo(f"{event.id} {event.type}: pending for {', '.join(effects)}")


def _listed() -> Iterator[dict[str, Any]]:
    with exit_if_wrong():
        require_readable(SCHEDULES)
    for row in listed(execute(LAST, {"schedules": NAMES})):
        del row["upcoming"]
        yield row


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Print the fields of `_listed`, without the type of the event."""
    headings = ("schedule", "cron", "zone", "catch up", "last slot", "event", "made", "next slot", "there")
    table = Table(*headings, box=None)
    for row in rows:
        table.add_row(*(_shown(value) for name, value in row.items() if name != "event_type"))
    Console(width=max(Console().width, 240)).print(table if rows else "No schedules.")


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return "-" if value is None else str(value)
