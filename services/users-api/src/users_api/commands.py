"""The commands of users-api: its processes, its migrations, and what operators do with deliveries."""

import json
import sys
from datetime import datetime
from typing import Annotated, Any, LiteralString
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts import SUBSCRIPTIONS, EventData, Subscription
from messaging.process.command import as_text
from messaging.process.settings import exit_if_wrong
from messaging.publishing import confirming, operations
from messaging.publishing.states import DUE, FINAL, DeliveryState
from messaging.publishing.switches import switched_on
from users_api import PUBLISHER, processes, schedules
from users_api.execute import execute, operator
from users_api.herald import output
from users_api.since import HELP, read_time

LARGEST = 2**63 - 1
"""PostgreSQL's bigint."""


app = typer.Typer(help="Registers users over HTTP and publishes user_registered.", no_args_is_help=True)
deliveries = typer.Typer(help="List deliveries; retry, cancel or confirm one.", no_args_is_help=True)
app.add_typer(deliveries, name="deliveries")
app.add_typer(schedules.app, name="schedules")


app.command()(processes.serve)
app.command()(processes.relay)


@app.command()
def migrate() -> None:
    """Bring the database of users-api (DATABASE_URL) up to date."""
    from messaging.process.migrate import migrate_command
    from users_api import MIGRATIONS

    migrate_command("users_api", MIGRATIONS)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP API. Needs no settings and no server."""
    from users_api.app import create_app
    from users_api.openapi import as_text

    typer.echo(as_text(create_app("").openapi()), nl=False)


@deliveries.command("list")
def list_deliveries(
    state: Annotated[DeliveryState, typer.Option(help="Only deliveries in this state.")] = "failed",
    limit: Annotated[int, typer.Option(min=1, max=LARGEST, help="Show at most this many, newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line, with every field.")] = False,
) -> None:
    """List deliveries in one state."""
    rows = execute(operations.IN_STATE, {"state": state, "limit": limit})
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, default=as_text))
    else:
        _print_table(state, rows)


@deliveries.command("retry")
def retry_delivery(event_id: UUID, subscription: str, as_json: output.AsJson = False) -> None:
    """Make a delivery due again that is failed, uncertain or cancelled, with all its attempts."""
    _refuse_unknown(subscription)
    state, moved = _move(operations.RETRY_BY_OPERATOR, operations.retrying(event_id, subscription, operator()))
    if not moved:
        sys.exit(operations.not_retried(subscription, state))
    _print_moved(event_id, subscription, state, "pending", as_json=as_json)


@deliveries.command("cancel")
def cancel_delivery(event_id: UUID, subscription: str, as_json: output.AsJson = False) -> None:
    """Cancel a delivery that is pending or retrying: its effect won't happen, unless you retry it."""
    state, moved = _move(operations.CANCEL, operations.cancelling(event_id, subscription, operator()))
    if not moved:
        sys.exit(operations.not_cancelled(state))
    _print_moved(event_id, subscription, state, "cancelled", as_json=as_json)


@deliveries.command("confirm")
def confirm_delivery(event_id: UUID, subscription: str, as_json: output.AsJson = False) -> None:
    """Confirm that an uncertain effect has happened: it is never caused again."""
    by = operator()
    with exit_if_wrong():
        parameters = confirming.confirming([(event_id, subscription)], source=PUBLISHER, by=by)
    state, moved = _move(confirming.CONFIRM, parameters)
    if not moved:
        sys.exit(confirming.not_confirmed(state))
    by_whom = f", confirmed by {parameters['confirmed_by']}"
    _print_moved(event_id, subscription, state, "succeeded", by_whom, as_json=as_json)


@app.command()
def replay(
    subscription: Annotated[str, typer.Option(help="Its name, as in contracts/subscriptions.py.")],
    since: Annotated[datetime, typer.Option(parser=read_time, metavar="TIME", help=HELP)],
    succeeded: Annotated[bool, typer.Option("--succeeded", help="Also those that succeeded: see above.")] = False,
) -> None:
    """Deliver past events to a subscription: those that it never received, and those that failed for it.

    With --succeeded everything again, for a consumer whose database was lost and restored from a backup. Wait until
    nothing is queued or running before you use it.
    """
    _refuse_unknown(subscription)
    effect = _effect(subscription)
    if succeeded and not effect.repeatable:
        sys.exit(f"What succeeded for {subscription} can't be replayed: it might happen twice. (See `repeatable`.)")
    parameters = operations.replaying(effect, since, succeeded=succeeded, by=operator())
    count = execute(operations.REPLAY, parameters)[0]["replayed"]
    typer.echo(f"{count} {'delivery is' if count == 1 else 'deliveries are'} pending for {subscription}")


def _effect(subscription: str) -> Subscription[EventData]:
    """Return a subscription that exists, with its delay; exit if its setting says that it is off."""
    declared = next(each for each in SUBSCRIPTIONS if each.name == subscription)
    with exit_if_wrong():
        for effect in switched_on([declared]):
            return effect
    sys.exit(f"{subscription} is off: set {declared.switch} for this command, as for users-api and relay.")


def _refuse_unknown(subscription: str) -> None:
    if subscription not in operations.EXISTING:
        sys.exit(f"There is no subscription {subscription}. Known subscriptions: {', '.join(operations.EXISTING)}")


def _move(statement: LiteralString, parameters: dict[str, Any]) -> tuple[str, bool]:
    """Move a delivery. Return the state that it was in, and whether it moved."""
    rows = execute(statement, parameters)
    if not rows:
        [event_id], [subscription] = parameters["event_ids"], parameters["subscriptions"]
        sys.exit(f"There is no delivery of event {event_id} to {subscription}. See: users-api deliveries list")
    return rows[0]["state"], bool(rows[0]["moved"])


def _print_moved(  # noqa: PLR0913  # what a line says
    event_id: UUID, subscription: str, before: str, state: DeliveryState, words: str = "", *, as_json: bool
) -> None:
    if as_json:
        output.print_json({"event_id": event_id, "subscription": subscription, "state": state})
    else:
        typer.echo(f"{event_id} {subscription}: was {before}, now {state}{words}")


def _print_table(state: DeliveryState, rows: list[dict[str, Any]]) -> None:
    when = "due" if state in DUE else "finished" if state in FINAL else "queued"
    table = Table("event", "subject", "subscription", "attempts", "created", when, "error or reference", box=None)
    for row in rows:
        created, then = (row[name] and row[name].isoformat(timespec="seconds") for name in ("created_at", f"{when}_at"))
        words = confirming.outcome(row)
        cells = (row["event_id"], row["subject"], row["subscription"], row["attempts"], created, then, words)
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))
    # In a narrow terminal the lines break, but the ids stay whole, to be pasted into `deliveries retry`.
    Console(width=max(Console().width, 220)).print(table if rows else f"No {state} deliveries.")
