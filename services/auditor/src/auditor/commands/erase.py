"""`auditor erase`."""

from typing import Annotated

import typer

from auditor.chain import erasing
from auditor.commands.session import database, end

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
        ids = ", ".join(map(str, found.ids[:SHOWN])) + (" …" if len(found.ids) > SHOWN else "")
        typer.echo(f"user {user_id}: {len(found.ids)} rows with {found.addresses} email addresses ({ids or 'none'})")
        if dry_run or not found.ids:
            return
        if not yes:
            typer.confirm("Erase their personal data? There is no way back.", abort=True)
        try:
            erasure = erasing.erase(connection, user_id)
        except erasing.ErasureRefused as refusal:
            end("erase", str(refusal), 1)
    if erasure:
        recorded = f"Row {erasure.row_id} records it, and seal {erasure.seal} covers that row."
        typer.echo(f"erased the personal data of {len(erasure.ids)} rows. {recorded}")
