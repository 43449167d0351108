"""`herald operations`: what operators did, and what a relay is doing for them."""

import sys
from typing import Annotated, Any

import typer

from messaging.publishing import bulk
from users_api.execute import database, operator
from users_api.filter_fields import MAX_ID
from users_api.herald import output, program
from users_api.herald.filters import described
from users_api.herald.following import follow, left_running, load, meant, shown, status_of
from users_api.herald.listing import print_rows

app = typer.Typer(help="What operators did, and what is being done.", no_args_is_help=True)

COLUMNS = ("id", "state", "action", "moved", "requested", "by", "what")

Number = Annotated[int, typer.Argument(metavar="ID", min=1, max=MAX_ID)]


@app.command("list")
def list_operations(
    limit: Annotated[int, typer.Option(min=1, max=MAX_ID, help="Show at most this many, newest first.")] = 20,
    as_json: output.AsJson = False,
) -> None:
    """List operations, newest first: to one delivery or to many, or to a schedule; over HTTP or by a command."""
    with database() as opened:
        rows = opened.execute(bulk.RECENT, {"before": MAX_ID, "limit": limit})
    if as_json:
        output.print_json({"operations": [shown(row) for row in rows]})
    elif rows:
        print_rows(COLUMNS, map(_cells, rows))
    else:
        typer.echo("No operations.", err=not output.in_terminal())


@app.command("show")
def show_operation(
    number: Number,
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Wait for its end, with its progress.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Show an operation, and how far it has come. With --follow the exit status is 1 if it failed or was cancelled."""
    with database() as opened:
        row = load(opened, number)
        if follow_it and row["state"] == "running":
            with left_running(number):
                row = follow(opened, number)
    if as_json:
        output.print_json(shown(row))
    else:
        print_rows(COLUMNS, [_cells(row)])
        if row["detail"]:
            typer.echo(output.text(row["detail"]))
    if follow_it:
        sys.exit(status_of(row))


@app.command("cancel")
def cancel_operation(number: Number, as_json: output.AsJson = False) -> None:
    """Stop an operation. What it has moved stays moved."""
    with database() as opened:
        rows = opened.execute(bulk.STOP, {"id": number, "by": operator()})
        if not rows:
            sys.exit(f"There is no operation {number}. See: {program()} operations list")
        if not rows[0]["moved"]:
            sys.exit(f"The operation is {rows[0]['state']}. Only one that is running can be cancelled.")
        row = load(opened, number)
    if as_json:
        output.print_json(shown(row))
    else:
        typer.echo(f"operation {number} is cancelled: {row['moved']:,} moved")


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    eligible = output.number_of({"count": row["eligible"], "exact": row["exact"]})
    moved = f"{row['moved']:,} of {eligible}"
    return (
        row["id"],
        row["state"],
        row["action"],
        moved,
        row["requested_at"],
        row["requested_by"],
        " ".join(filter(None, (row["schedule"], described(meant(row))))),
    )
