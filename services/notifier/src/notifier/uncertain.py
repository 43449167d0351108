"""`notifier uncertain`: effects of which it is unknown whether they happened, and what an operator decides."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import psycopg
import redis
import typer
from psycopg import Connection
from rich.console import Console
from rich.table import Table
from rich.text import Text

from messaging.effects import decisions
from messaging.effects.decisions import UncertainEffect
from messaging.errors import DatabaseUnsuitable
from messaging.process.database import connect, refuse
from messaging.process.settings import DatabaseSettings, Settings, load_or_exit
from messaging.wire.client import connect as connect_redis
from messaging.wire.receipt import clean

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
    with _ledger(load_or_exit(DatabaseSettings)) as connection:
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
    with _ledger(settings) as connection:
        effect = _one(connection, event_id, subscription)
        decisions.confirm(connection, connect_redis(settings.redis_url), effect, reference and clean(reference))
    typer.echo(f"{event_id} {effect.subscription}: confirmed")


@app.command()
def resend(event_id: EventId, subscription: SubscriptionName = None) -> None:
    """Cause the effect again, whether or not it has happened."""
    settings = load_or_exit(Settings)
    with _ledger(settings) as connection:
        effect = _one(connection, event_id, subscription)
        decisions.resend(connect_redis(settings.redis_url), effect)
    typer.echo(f"{event_id} {effect.subscription}: it is sent again as soon as a relay has read this decision")


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
def _ledger(settings: DatabaseSettings) -> Iterator[Connection[Any]]:
    """Open the notifier's database; end with one line if that, or reporting a decision, fails."""
    try:
        with connect(settings.database_url, name="command") as connection:
            yield connection
    except DatabaseUnsuitable as fault:
        refuse(fault)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        sys.exit("This database has no effect ledger. If DATABASE_URL is the notifier's, run: notifier migrate")
    except psycopg.Error as error:
        sys.exit(f"{str(error).strip().splitlines()[0]}. Check DATABASE_URL and that PostgreSQL answers.")
    except redis.RedisError as error:
        sys.exit(f"The relay wasn't notified: {error}. Check REDIS_URL, then run the command again.")
