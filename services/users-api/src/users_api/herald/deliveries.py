"""`herald deliveries list` and `groups`: search deliveries, and group those that failed by their errors."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from users_api.execute import Database, database
from users_api.herald import output, program
from users_api.herald.filters import Wanted
from users_api.herald.options import with_options

if TYPE_CHECKING:
    from messaging.publishing.searching import Count, Group, Groups

PAGE = 500
"""The most deliveries that one statement returns."""

INDEXED = "enable_seqscan = off"
"""Every search has an index; the API's connections are set so too."""

WIDE = 140
"""A table of deliveries needs a terminal of this many columns."""

app = typer.Typer(help="Search deliveries; retry, cancel or replay one or many.", no_args_is_help=True)

COLUMNS = ("event", "user", "subscription", "state", "attempts", "made", "last moved", "error or reference")

Limit = Annotated[int, typer.Option(min=1, help="Show at most this many, newest event first.")]


@app.command("list")
@with_options(wanted=Wanted)
def list_deliveries(wanted: Wanted, limit: Limit = 50, as_json: output.AsJson = False) -> None:
    """List deliveries, newest event first. With --error or --group: that failed, are uncertain or retrying.

    --since and --until say when the event was made, --finished-since and --finished-until when the delivery ended.
    """
    with database(INDEXED) as opened:
        rows, found = search(opened, wanted, limit)
    if as_json:
        output.print_json({"deliveries": rows, "total": found.model_dump()})
    elif rows:
        print_deliveries(rows)
    if not as_json and (output.in_terminal() or not rows):
        typer.echo(output.total(len(rows), found) if rows else "No deliveries match.", err=not output.in_terminal())


def search(opened: Database, wanted: Wanted, limit: int) -> "tuple[list[dict[str, Any]], Count]":
    """Return up to `limit` deliveries and how many there are. One statement looks at a bounded number of rows."""
    from messaging.publishing import searching

    chosen = wanted.resolve(opened)
    rows: list[dict[str, Any]] = []
    total: searching.Count | None = None
    place: searching.Place | None = searching.NEWEST
    while place is not None and len(rows) < limit:
        page = opened.run(searching.search(chosen, min(limit - len(rows), PAGE), place))
        rows, total, place = [*rows, *page.rows], total or page.total, page.next
    if place is None or total is None:
        return rows, searching.Count(count=len(rows), exact=True)
    return rows, searching.Count(count=max(total.count, len(rows)), exact=total.exact)


def print_deliveries(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each; in a narrow terminal two lines."""
    found = [cells(row) for row in rows]
    if not output.in_terminal() or output.width() >= WIDE:
        output.print_rows(COLUMNS, found)
        return
    for row, (*identity, state, attempts, _, _, words) in zip(rows, found, strict=True):
        moved = moved_at(row)
        parts = [*identity, state, f"{attempts}x", output.short(moved) if moved else ""]
        typer.echo("  ".join(map(output.text, parts)))
        if words:
            typer.echo(f"    {output.text(words)}")


def moved_at(row: Mapping[str, Any]) -> datetime | None:
    """Return when a delivery last moved; None, if it only waits."""
    moved: datetime | None = row["finished_at"] or row["started_at"] or row["queued_at"]
    return moved


def cells(row: Mapping[str, Any]) -> Sequence[object]:
    """Return a delivery as a row of a table."""
    moved = moved_at(row)
    words = row["last_error"] or row["reference"]
    user = row["subject"].removeprefix("users/")
    return row["event_id"], user, row["subscription"], row["state"], row["attempts"], row["created_at"], moved, words


@app.command("groups")
@with_options(wanted=Wanted)
def group_deliveries(wanted: Wanted, as_json: output.AsJson = False) -> None:
    """Count what failed, is uncertain or retrying, by subscription and error; numbers and addresses are left aside.

    With --finished-since 10m: what failed or became uncertain in the last ten minutes.
    """
    from messaging.publishing import searching

    with database(INDEXED) as opened:
        found = opened.run(searching.groups(wanted.resolve(opened)))
    if as_json:
        output.print_json(found.model_dump())
    elif found.groups:
        _print_groups(found)
    else:
        typer.echo("Nothing failed, is uncertain or retrying.", err=not output.in_terminal())


def _print_groups(found: "Groups") -> None:
    if output.in_terminal() and output.width() < WIDE:
        for each in found.groups:
            last = output.short(each.last_seen) if each.last_seen else "-"
            typer.echo(f"{each.subscription}: {_states(each.states)}, the last at {last}, such as {each.event_id}")
            typer.echo(f"    {output.text(each.group)}")
    else:
        headings = ("count", "subscription", "states", "first seen", "last seen", "group", "for example")
        output.print_rows(headings, map(_group_cells, found.groups))
    if output.in_terminal():
        groups = "1 group" if len(found.groups) == 1 else f"{len(found.groups)} groups"
        older = f", of events made since {output.moment(found.since)}" if found.since else ""
        typer.echo(f"{output.counted(found.total)} in {groups}{older}")
        typer.echo(f"See one: {program()} deliveries list --group GROUP. Retry: {program()} deliveries retry --all")


def _group_cells(each: "Group") -> Sequence[object]:
    seen = each.first_seen, each.last_seen
    return each.count, each.subscription, _states(each.states), *seen, each.group, each.event_id


def _states(states: Mapping[Any, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in states.items())
