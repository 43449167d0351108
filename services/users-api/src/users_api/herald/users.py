"""`herald user`: what happened to one user, on a time line."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from messaging.publishing import operations
from messaging.publishing.states import DUE
from users_api.execute import Database, database
from users_api.herald import output, program
from users_api.herald.filters import user_with
from users_api.herald.listing import print_rows
from users_api.herald.timeline import Step, steps
from users_api.subjects import USER, subject


def user(
    who: Annotated[str, typer.Argument(metavar="ADDRESS|ID", help="The user's email address, or id.")],
    as_json: output.AsJson = False,
) -> None:
    """Show what happened to a user: the registration, and every effect with its attempts, errors and references."""
    with database() as opened:
        person = _load(opened, who)
        rows = opened.execute(operations.OF_SUBJECT, {"subject": subject(person["id"])})
    if as_json:
        output.print_json({"user": person, "deliveries": rows})
        return
    if output.in_terminal():
        typer.echo(output.text(f"user {person['id']}: {person['full_name']} <{person['email']}>"))
    registered = Step(person["created_at"], f"user {person['id']}", "registered")
    shown = [registered, *steps(rows)]
    if output.in_terminal():  # the ids of events are long; `_conclude` prints each once
        shown = [step._replace(details="") if step.happened == "recorded" else step for step in shown]
    print_rows(("time", "after", "what", "happened", "details"), _cells(shown))
    if output.in_terminal():
        _conclude(rows)


def _load(opened: Database, who: str) -> dict[str, Any]:
    number = int(who) if who.isascii() and who.isdigit() and len(who) < 16 else user_with(opened, who)  # noqa: PLR2004
    rows = opened.execute(USER, {"id": number})
    if not rows:
        sys.exit(f"There is no user {number}.")
    return rows[0]


def _cells(found: Sequence[Step]) -> list[tuple[object, ...]]:
    began = found[0].time
    return [
        (step.time, "" if step is found[0] else _after((step.time - began).total_seconds()), *step[1:])
        for step in found
    ]


def _after(seconds: float) -> str:
    return f"+{output.span(seconds)}" if seconds >= 0 else f"-{output.span(-seconds)}"


def _conclude(rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        typer.echo("No deliveries: what is over is kept for RETENTION_DAYS.")
    for event, kind in {row["event_id"]: row["event_type"] for row in rows}.items():
        typer.echo(f"See {kind} and its deliveries: {program()} events show {event}")
    for row in rows:
        words = f"{row['subscription']} is {row['state']}"
        if row["state"] in {"failed", "uncertain"}:
            typer.echo(f"{words}. Send again: {program()} deliveries retry {row['event_id']} {row['subscription']}")
        elif row["state"] in DUE and row["due_at"]:
            typer.echo(f"{words}, due at {output.moment(row['due_at'])}")
