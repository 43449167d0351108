"""`herald deliveries list` and `groups`: search deliveries, and group those that failed by their errors."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from messaging.publishing import confirming
from messaging.publishing.states import TROUBLED
from users_api.execute import Database, database
from users_api.herald import output, program
from users_api.herald.filters import Wanted, advise, described, nothing_matches, options_of
from users_api.herald.listing import print_rows
from users_api.herald.options import with_options

if TYPE_CHECKING:
    from messaging.publishing.filtering import Filter
    from messaging.publishing.searching import ErrorGroup, ErrorGroups, Found

PAGE = 500
"""The most deliveries that one statement returns."""

MOST_LOOKS = 20
"""After this many statements that haven't found enough, stop and say so: about a second, for a million deliveries."""

INDEXED = "enable_seqscan = off"
"""Every search has an index; the API's connections are set so too."""

WIDE = 140
"""A table of deliveries needs a terminal of this many columns."""

app = typer.Typer(help="Search deliveries; retry, cancel, confirm or replay one or many.", no_args_is_help=True)

NOTHING = "No delivery that matches is failed, uncertain or retrying now."

COLUMNS = ("event", "user", "subscription", "state", "attempts", "made", "last moved", "error or reference")

Limit = Annotated[int, typer.Option(min=1, help="Show at most this many, newest event first.")]


@app.command("list")
@with_options(wanted=Wanted)
def list_deliveries(wanted: Wanted, limit: Limit = 50, as_json: output.AsJson = False) -> None:
    """List deliveries, newest event first. With --error or --group: that failed, are uncertain or retrying.

    --since and --until say when the event was made, --finished-since and --finished-until when the delivery ended.
    """
    with database(INDEXED) as opened:
        found = search(opened, wanted, limit)
    if as_json:
        shown = found.model_dump(include={"total", "searched_to"})
        output.print_json({"deliveries": found.rows, **shown})
    elif found.rows:
        print_deliveries(found.rows)
    if not as_json and (output.in_terminal() or not found.rows):
        said = output.total(len(found.rows), found.total) if found.rows and found.total else nothing_matches(wanted)
        typer.echo(said, err=not output.in_terminal())
    if not as_json and output.in_terminal():
        if found.rows:
            typer.echo(f"See one: {program()} events show EVENT. Its user: {program()} user USER")
        if wanted.error or wanted.group or {"failed", "uncertain"} & set(wanted.state or ()):
            advise(wanted)
    if found.searched_to:
        before = output.moment(found.searched_to + timedelta(seconds=1))
        typer.echo(
            f"This is about events made since {before}; go on with --until '{before}'.", err=not output.in_terminal()
        )


def search(opened: Database, wanted: Wanted, limit: int) -> "Found":
    """Return up to `limit` deliveries and how many there are. One statement looks at a bounded number of rows.

    `searched_to`: if MOST_LOOKS of them haven't found enough, up to which events they looked.
    """
    from messaging.publishing import searching

    chosen = wanted.resolve(opened)
    rows: list[dict[str, Any]] = []
    total, place, looks = None, searching.NEWEST, 0
    while True:
        page = opened.run(searching.search(chosen, min(limit - len(rows), PAGE), place))
        rows, total, looks = [*rows, *page.rows], total or page.total, looks + bool(page.searched_to)
        if page.next is None:
            total = searching.Total(count=len(rows), exact=True)
        elif len(rows) < limit and looks < MOST_LOOKS:
            place = page.next
            continue
        elif total:
            total = searching.Total(count=max(total.count, len(rows)), exact=total.exact)
        return searching.Found(
            rows=rows, total=total, next=page.next, searched_to=page.searched_to if len(rows) < limit else None
        )


def print_deliveries(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each; in a narrow terminal two lines."""
    found = [cells(row) for row in rows]
    if not output.in_terminal() or output.width() >= WIDE:
        print_rows(COLUMNS, found)
        return
    for row, (event, user, subscription, state, attempts, _, _, words) in zip(rows, found, strict=True):
        moved = moved_at(row)
        parts = [event, f"user {user}", subscription, state, f"{attempts}x", output.short(moved) if moved else ""]
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
    words = confirming.outcome(row)
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
        meant = wanted.resolve(opened)
        found = opened.run(searching.groups(meant))
    if as_json:
        output.print_json(found.model_dump())
        return
    if found.groups:
        _print_groups(found, meant)
    else:
        said = nothing_matches(wanted, NOTHING, TROUBLED)
        typer.echo(said, err=not output.in_terminal())
    if output.in_terminal():
        advise(wanted)


def _print_groups(found: "ErrorGroups", meant: "Filter") -> None:
    if output.in_terminal() and output.width() < WIDE:
        for each in found.groups:
            last = output.short(each.last_seen) if each.last_seen else "-"
            typer.echo(f"{each.subscription}: {_states(each.states)}, the last at {last}, such as {each.event_id}")
            typer.echo(f"    {output.text(each.group)}")
    else:
        headings = ("count", "subscription", "states", "first seen", "last seen", "group", "for example")
        print_rows(headings, map(_group_cells, found.groups))
    if output.in_terminal():
        groups = "1 group" if len(found.groups) == 1 else f"{len(found.groups)} groups"
        older = f", of events made since {output.moment(found.since)}" if found.since else ""
        typer.echo(f"{output.counted(found.total)} in {groups}{older}")
        first = described(meant.model_copy(update={"group": found.groups[0].group}))
        typer.echo(output.text(f"See the first: {program()} deliveries list {first}"))
        if any("failed" in each.states for each in found.groups):
            options = options_of(meant)
            typer.echo(output.text(" ".join([f"Retry what failed: {program()} deliveries retry --all", *options])))


def _group_cells(each: "ErrorGroup") -> Sequence[object]:
    seen = each.first_seen, each.last_seen
    return each.count, each.subscription, _states(each.states), *seen, each.group, each.event_id


def _states(states: Mapping[Any, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in states.items())
