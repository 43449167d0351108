"""`herald deliveries retry`, `cancel`, `confirm` and `replay`: one delivery at once, or all that a filter finds.

What is done to many is an operation: this program records what is wanted, a relay does it. So it goes on if this
program ends, and it can be followed again (`herald operations show ID --follow`).
"""

import sys
from dataclasses import asdict, dataclass
from typing import Annotated
from uuid import UUID

import typer

from messaging.errors import ConfigurationError, OperationRefused
from messaging.publishing import bulk
from messaging.publishing.bulk import Action
from messaging.publishing.searching import Total
from users_api.execute import Database, database, operator
from users_api.herald import output
from users_api.herald.deliveries import INDEXED, app
from users_api.herald.filters import Wanted, advise, described
from users_api.herald.following import follow, left_running, shown, status_of
from users_api.herald.options import with_options

Event = Annotated[UUID | None, typer.Argument(metavar="EVENT", show_default=False, help="The event's id.")]
To = Annotated[str | None, typer.Argument(metavar="SUBSCRIPTION", show_default=False, help="One delivery of it.")]


@dataclass(frozen=True)
class Move:
    """How to move many."""

    everything: Annotated[bool, typer.Option("--all", help="All that the options mean.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False
    as_json: output.AsJson = False


@app.command()
@with_options(wanted=Wanted, how=Move)
def retry(wanted: Wanted, how: Move, event_id: Event = None, to: To = None) -> None:
    """Make deliveries due again, with all their attempts: EVENT SUBSCRIPTION, or --all that failed.

    With --state uncertain or --state cancelled also such ones.
    """
    if _is_one(event_id, to, wanted, how) and event_id and to:
        from users_api.commands import retry_delivery

        retry_delivery(event_id, to, how.as_json)
    else:
        _move("retry", wanted, how)


@app.command()
@with_options(wanted=Wanted, how=Move)
def cancel(wanted: Wanted, how: Move, event_id: Event = None, to: To = None) -> None:
    """Cancel deliveries that are pending or retrying: EVENT SUBSCRIPTION, or --all. Their effects won't happen."""
    if _is_one(event_id, to, wanted, how) and event_id and to:
        from users_api.commands import cancel_delivery

        cancel_delivery(event_id, to, how.as_json)
    else:
        _move("cancel", wanted, how)


@app.command()
@with_options(wanted=Wanted, how=Move)
def confirm(wanted: Wanted, how: Move, event_id: Event = None, to: To = None) -> None:
    """Confirm that uncertain effects have happened: EVENT SUBSCRIPTION, or --all. They are never caused again."""
    if _is_one(event_id, to, wanted, how) and event_id and to:
        from users_api.commands import confirm_delivery

        confirm_delivery(event_id, to, how.as_json)
    else:
        _move("confirm", wanted, how)


@app.command()
@with_options(wanted=Wanted, how=Move)
def replay(wanted: Wanted, how: Move) -> None:
    """Give one --subscription all events --since a time that it never had, or that failed for it.

    With --state succeeded also those that succeeded, for a consumer whose database was lost.
    """
    _move("replay", wanted, how)


def _is_one(event_id: UUID | None, to: str | None, wanted: Wanted, how: Move) -> bool:
    """Return whether one delivery is meant, and refuse what is neither one nor many."""
    if (event_id is None) != (to is None):
        raise typer.BadParameter("One delivery is an EVENT and a SUBSCRIPTION.")
    if (event_id is not None) == how.everything:
        raise typer.BadParameter("Name one delivery, EVENT SUBSCRIPTION, or say --all and which by the options.")
    if not how.everything and (given := _options(wanted, how)):
        raise typer.BadParameter(f"{', '.join(given)} can't be said of one delivery, EVENT SUBSCRIPTION.")
    return not how.everything


def _options(wanted: Wanted, how: Move) -> list[str]:
    """Return the options that were given and are about many. To be asked nothing is the same for one."""
    values = {**asdict(wanted), "dry-run": how.dry_run or None}
    return [f"--{name.replace('_', '-')}" for name, value in values.items() if value is not None]


def _move(action: Action, wanted: Wanted, how: Move) -> None:
    with database(INDEXED) as opened:
        try:
            meant = bulk.meant(action, wanted.resolve(opened))
            eligible = opened.run(bulk.eligible(action, meant))
        except (OperationRefused, ConfigurationError) as refusal:
            sys.exit(str(refusal))
        if not how.as_json:
            number = output.counted(eligible, *(("event", "events") if action == "replay" else ()))
            typer.echo(f"{number} can be {bulk.PARTICIPLES[action]}: {described(meant)}")
        if action == "retry" and output.in_terminal() and not how.as_json:
            advise(wanted)
        if how.dry_run or eligible == Total(count=0, exact=True):
            if how.as_json:
                filter_ = meant.model_dump(exclude_none=True)
                output.print_json({"filter": filter_, "eligible": eligible.model_dump(), "operation": None})
            return
        if not how.yes:
            _confirm(action)
        _request(opened, action, bulk.requesting(action, meant, operator(), eligible), as_json=how.as_json)


def _request(opened: Database, action: Action, parameters: dict[str, object], *, as_json: bool) -> None:
    [row] = opened.execute(bulk.REQUEST, parameters)
    with left_running(row["id"]):
        if not as_json:
            typer.echo(f"operation {row['id']}: {action} requested; a relay does it")
        ended = follow(opened, row["id"])
    if as_json:
        output.print_json(shown(ended))
    sys.exit(status_of(ended))


def _confirm(action: Action) -> None:
    if not sys.stdin.isatty():
        sys.exit(f"Nothing was done. To {action} them without being asked, add --yes.")
    if not typer.confirm(f"{action.capitalize()} them?"):
        sys.exit("Nothing was done.")
