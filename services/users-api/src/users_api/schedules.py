"""The commands on schedules: when each made its last event and makes its next one, and an extra event now."""

import sys
from typing import Any

import typer

from contracts import SCHEDULES
from messaging.process.settings import exit_if_wrong
from messaging.publishing.schedules import LAST, RUN, TIME, running
from messaging.publishing.slots import require_readable
from users_api.execute import execute, operator
from users_api.herald import output
from users_api.herald.listing import print_rows
from users_api.scheduled import NAMES, NoEffect, extra, listed, named

HEADINGS = ("schedule", "cron", "zone", "catch up", "last slot", "event", "made", "next slot", "there")

app = typer.Typer(help="List schedules; make an extra event of one now.", no_args_is_help=True)


@app.command("list")
def list_schedules(as_json: output.AsJson = False) -> None:
    """List the schedules, with the last slot of each that was made, and its next one."""
    with exit_if_wrong():
        require_readable(SCHEDULES)
    rows = list(listed(execute(LAST, {"schedules": NAMES})))
    for row in rows:
        del row["upcoming"]
    if as_json:
        output.print_json({"schedules": rows})
    elif rows:
        print_rows(HEADINGS, map(_cells, rows))
    else:
        typer.echo("No schedules.", err=not output.in_terminal())


@app.command("run")
def run_schedule(name: str, as_json: output.AsJson = False) -> None:
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
    if as_json:
        made = {"event_id": event.id, "event_type": event.type, "subscriptions": effects}
        output.print_json({"schedule": name, **made, "state": "pending"})
    else:
        typer.echo(f"{event.id} {event.type}: pending for {', '.join(effects)}")


def _cells(row: dict[str, Any]) -> list[object]:
    """Return a schedule as a row, without the type of its event; the last time is one of its own zone."""
    shown = row | {"next_slot_there": row["next_slot_there"].isoformat(timespec="seconds")}
    return [value for name, value in shown.items() if name != "event_type"]
