"""`notifier suppressions`: the addresses to which no mail is sent."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from messaging.process.settings import DatabaseSettings, load_or_exit
from messaging.wire.receipt import clean
from notifier import suppressions
from notifier.commands.opened import opened
from notifier.errors import MailRefused
from notifier.mail import Address

app = typer.Typer(
    help="List, add or remove addresses to which no mail is sent. An address that a mail server or provider refuses "
    "for good is added by the notifier.",
    no_args_is_help=True,
)

EmailAddress = Annotated[str, typer.Argument(help="An email address, such as maya@example.com")]


@app.command("list")
def list_suppressed(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the addresses, the latest first, each with the reason for which it is on the list."""
    with opened(load_or_exit(DatabaseSettings).database_url) as connection:
        found = suppressions.listed(connection)
    if as_json:
        for each in found:
            typer.echo(json.dumps(asdict(each), default=str))
        return
    table = Table("address", "since", "reason", box=None)
    for each in found:
        table.add_row(*map(Text, (each.address, each.added_at.isoformat(timespec="seconds"), each.reason)))
    Console(width=max(Console().width, 120)).print(table if found else "No addresses are suppressed.")


@app.command()
def add(
    address: EmailAddress,
    reason: Annotated[str, typer.Option(help="Why, for the list.")] = "added by an operator",
) -> None:
    """Send no mail to an address any more. Running notifiers know within a second."""
    plain = _address(address)
    with opened(load_or_exit(DatabaseSettings).database_url) as connection:
        is_new = suppressions.add(connection, plain, clean(reason))
    typer.echo(f"{plain}: {'suppressed' if is_new else 'was suppressed already'}")


@app.command()
def remove(address: EmailAddress) -> None:
    """Send mails to an address again. Then retry its deliveries: users-api deliveries list --state failed"""
    plain = _address(address)
    with opened(load_or_exit(DatabaseSettings).database_url) as connection:
        removed = suppressions.remove(connection, plain)
    if not removed:
        sys.exit(f"{plain} isn't suppressed. See: notifier suppressions list")
    typer.echo(f"{plain}: no longer suppressed")


def _address(text: str) -> str:
    try:
        address = Address.recipient("", text.strip()).email.lower()
    except MailRefused:
        address = ""
    if not address or clean(address) != address:
        raise typer.BadParameter(f"{text!r} is no email address")
    return address
