"""`auditor erase`."""

from typing import Annotated

import typer

from auditor.chain import erasing
from auditor.commands.session import counted, database, end

SHOWN = 10
"""How many ids of a user's rows are printed."""


def erase(
    user_id: Annotated[int, typer.Option("--user", help="The user's id.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be erased, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without a question.")] = False,
) -> None:
    """Erase a person's data from the log, for good. The rows stay, without email and user id, and still verify."""
    with database("erase", 1) as connection:
        found = erasing.find(connection, user_id)
        if not found.ids:
            end("erase", f"user {user_id}: no row of the log holds this user's data", 1)
        typer.echo(f"user {user_id}: {_rows(found.ids)}; {counted(found.addresses, 'email address')}")
        if dry_run:
            return
        if not yes:
            typer.confirm("Erase their personal data? There is no way back.", abort=True)
        try:
            erasure = erasing.erase(connection, user_id)
        except erasing.ErasureRefused as refusal:
            end("erase", str(refusal), 1)
    if erasure:
        recorded = f"Row {erasure.row_id} records it, and seal {erasure.seal} covers that row."
        typer.echo(f"erased the personal data of {counted(len(erasure.ids), 'row')}. {recorded}")


def _rows(ids: list[int]) -> str:
    more = f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else ""
    return ("row " if len(ids) == 1 else "rows ") + ", ".join(map(str, ids[:SHOWN])) + more
