"""`herald events show`: one event, as consumers receive it, and its deliveries."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import typer

from messaging.publishing import operations
from users_api.execute import database
from users_api.herald import output, program, timeline
from users_api.herald.deliveries import print_deliveries
from users_api.herald.listing import print_rows

app = typer.Typer(help="Show an event.", no_args_is_help=True)

ABOUT_EVENT = ("id", "type", "subject", "recorded_at", "available_at", "envelope")


@app.callback()
def _group() -> None:
    """Show an event."""


@app.command("show")
def show_event(event_id: UUID, as_json: output.AsJson = False) -> None:
    """Show an event as consumers receive it, and every delivery with its times, errors and references."""
    with database() as opened:
        rows = opened.execute(operations.EVENT, {"event_id": event_id})
    if not rows:
        sys.exit(f"There is no event {event_id}. See: {program()} deliveries list")
    event = {name: rows[0][name] for name in ABOUT_EVENT}
    deliveries = [
        {name: value for name, value in row.items() if name not in ABOUT_EVENT} for row in rows if row["event_id"]
    ]
    if as_json:
        output.print_json({**event, "deliveries": deliveries})
        return
    typer.echo(json.dumps(event["envelope"], indent=2, ensure_ascii=not output.in_terminal()))
    if deliveries:
        print_deliveries([{**row, "subject": event["subject"]} for row in deliveries])
        _print_attempts(deliveries)
    else:
        typer.echo("No deliveries.", err=not output.in_terminal())


def _print_attempts(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the attempts that didn't succeed, if there are any."""
    tried = timeline.attempts(rows)
    if tried:
        typer.echo("\nAttempts that didn't succeed:" if output.in_terminal() else "")
        print_rows(("effect", "attempt", "began", "ended", "outcome", "details"), tried)
    for row in rows:
        if row["history_omitted"] and output.in_terminal():
            typer.echo(f"{row['subscription']}: {timeline.omitted(row)}")
