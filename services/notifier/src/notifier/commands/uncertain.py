"""`notifier uncertain`: effects of which it is unknown whether they happened, and what an operator decides."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import redis
import typer
from psycopg import Connection
from rich.console import Console
from rich.table import Table
from rich.text import Text

from messaging.effects import decisions
from messaging.effects.decisions import UncertainEffect
from messaging.process.settings import DatabaseSettings, Settings, load_or_exit
from messaging.wire.client import connect as connect_redis
from messaging.wire.receipt import clean
from notifier.commands.opened import opened

app = typer.Typer(
    help="Decide about effects that may or may not have happened. Look for the event's id (it is part of the mail's "
    "Message-ID) in the provider's log, then confirm or resend.",
    no_args_is_help=True,
)

EventId = Annotated[UUID, typer.Argument(help="The event's id, as the list shows it.")]
SubscriptionName = Annotated[str | None, typer.Argument(help="Which of the event's effects, if several are uncertain.")]


@app.command("list")
def list_uncertain(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line, with every field.")] = False,
) -> None:
    """List the uncertain effects with the evidence: at which stage an attempt ended, and with which reply."""
    with opened(load_or_exit(DatabaseSettings).database_url) as connection:
        effects = decisions.uncertain_effects(connection)
    if as_json:
        for effect in effects:
            typer.echo(json.dumps(asdict(effect), default=str))
        return
    table = Table("event", "effect", "since", "attempts", "evidence", box=None)
    for effect in effects:
        since = effect.since.isoformat(timespec="seconds")
        cells = (effect.event_id, effect.subscription, since, effect.doubts, effect.evidence or "")
        table.add_row(*(Text(str(cell)) for cell in cells))
    # In a narrow terminal the lines break, but the ids stay whole, to be pasted.
    Console(width=max(Console().width, 160)).print(table if effects else "No uncertain effects.")


@app.command()
def confirm(
    event_id: EventId,
    subscription: SubscriptionName = None,
    reference: Annotated[str | None, typer.Option(help="What the provider calls the mail.")] = None,
) -> None:
    """Record that the effect has happened: its delivery becomes `succeeded`."""
    settings = load_or_exit(Settings)
    with opened(settings.database_url) as connection, _reported():
        effect = _one(connection, event_id, subscription)
        client = connect_redis(settings.redis_url)
        if not decisions.confirm(connection, client, effect, reference and clean(reference)):
            sys.exit("An attempt to cause this effect is under way. See what becomes of it: notifier uncertain list")
    typer.echo(f"{event_id} {effect.subscription}: confirmed")


@app.command()
def resend(event_id: EventId, subscription: SubscriptionName = None) -> None:
    """Cause the effect again, whether or not it has happened."""
    settings = load_or_exit(Settings)
    with opened(settings.database_url) as connection, _reported():
        effect = _one(connection, event_id, subscription)
        if effect.state == "done":
            sys.exit("This effect was confirmed, so it isn't caused again. To end its delivery, run: confirm")
        decisions.resend(connect_redis(settings.redis_url), effect)
    typer.echo(
        f"{event_id} {effect.subscription}: sent again when a relay reads this, if its delivery is still uncertain"
    )


def _one(connection: Connection[Any], event_id: UUID, subscription: str | None) -> UncertainEffect:
    found = decisions.find(connection, event_id, subscription)
    if not found:
        sys.exit(f"There is no uncertain effect of event {event_id}. See: notifier uncertain list")
    if len(found) > 1:
        sys.exit(f"Several effects of this event are uncertain. Name one: {', '.join(e.subscription for e in found)}")
    if not found[0].publisher:
        name = found[0].subscription
        sys.exit(f"An older notifier recorded this effect. Use: users-api deliveries retry {event_id} {name}")
    return found[0]


@contextmanager
def _reported() -> Iterator[None]:
    """End the command with one line if a decision couldn't be reported to the relay."""
    try:
        yield
    except redis.RedisError as error:
        sys.exit(f"The relay wasn't notified: {error}. Check REDIS_URL, then run the command again.")
