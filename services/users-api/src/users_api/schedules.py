"""The commands on schedules: when each made its last event and makes its next one, and an extra event now."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from contracts import SCHEDULES, SUBSCRIPTIONS, Schedule
from messaging.process.settings import exit_if_wrong
from messaging.publishing.outbox import publish
from messaging.publishing.schedules import LAST, TIME, event_of
from messaging.publishing.slots import require_readable, slots
from messaging.publishing.switches import effects_of
from users_api import PUBLISHER
from users_api.execute import as_text, execute

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
    schedule = next((declared for declared in SCHEDULES if declared.name == name), None)
    if schedule is None:
        sys.exit(f"There is no schedule {name}. Schedules: {', '.join(declared.name for declared in SCHEDULES)}")
    with exit_if_wrong():
        effects = [effect.name for effect in effects_of(schedule.event)]
    if not effects:
        sys.exit(_no_effect(schedule))
    [row] = execute(TIME, {})
    event = event_of(schedule, row["now"], row["now"], PUBLISHER)
    execute(*publish([event]))
    typer.echo(f"{event.id} {event.type}: pending for {', '.join(effects)}")


def _no_effect(schedule: Schedule) -> str:
    wanted = [effect.switch for effect in SUBSCRIPTIONS if effect.event_type == schedule.event.event_type]
    remedy = f"set {' or '.join(filter(None, wanted))} for this command, as for users-api and relay" if wanted else ""
    return f"No effect of {schedule.name} is on: {remedy or 'declare a subscription'}."


def _listed() -> Iterator[dict[str, Any]]:
    with exit_if_wrong():
        require_readable(SCHEDULES)
    rows = execute(LAST, {"schedules": [schedule.name for schedule in SCHEDULES]})
    last = {row.pop("schedule"): row for row in rows}
    for schedule in SCHEDULES:
        row = last[schedule.name]
        upcoming = next(slots(schedule, row.pop("now")))
        yield {
            "name": schedule.name,
            "cron": schedule.cron,
            "time_zone": schedule.time_zone,
            "catch_up": schedule.catch_up,
            "event_type": schedule.event.event_type,
            "last_slot": row["slot"],
            "last_event_id": row["event_id"],
            "last_made_at": row["made_at"],
            "next_slot": upcoming,
            "next_slot_there": upcoming.astimezone(ZoneInfo(schedule.time_zone)),
        }


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
