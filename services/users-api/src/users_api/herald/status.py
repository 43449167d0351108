"""`herald status`: how everything is doing, once or again and again."""

import asyncio
import signal
import sys
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import Field

from messaging.process import urls
from messaging.process.settings import DatabaseSettings, load_or_exit, secret
from messaging.publishing.states import DeliveryState
from users_api.execute import execute
from users_api.herald import output, program
from users_api.herald.listing import print_rows

if TYPE_CHECKING:
    from rich.table import Table

    from users_api.status.schemas import Status, SubscriptionStatus

Rows = list[Sequence[object]]

STATES: tuple[DeliveryState, ...] = ("pending", "queued", "running", "retrying", "failed", "uncertain")

LAST = ("oldest", "done in 1 h", "median", "p95")
"""The last columns: a narrow terminal leaves them out first."""

UNREADABLE = "The database can't be read"

ALWAYS = ("pending", "failed")
"""A terminal shows the columns of other states only if there is something in one."""


class LookSettings(DatabaseSettings):
    """The settings of a command that reads Redis, if REDIS_URL is set."""

    redis_url: Annotated[str | None, secret(urls.redis), Field(repr=False, validate_default=False)] = None


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds from one look to the next.")] = 2.0,
    as_json: output.AsJson = False,
) -> None:
    """Show what waits, runs and failed, by subscription; the relays and workers; PostgreSQL and Redis.

    "oldest": how long ago the oldest unfinished delivery was first due. "late by": for how long the oldest has waited
    since it was last due or queued, or run beyond its time limit. One that is to be tried again isn't late before that.
    Median and p95: from due to done, in the last hour.
    """
    from users_api.database import DatabaseUnavailable

    settings = load_or_exit(LookSettings)
    execute("SELECT", {})  # if PostgreSQL can't be used, this says why
    try:
        with closing(_looks(settings, every if watch else None, _interrupted())) as looks:  # also if printing fails
            if watch and output.in_terminal() and not as_json:
                _show_live(looks, every)
            else:
                _print(looks, as_json=as_json)
    except DatabaseUnavailable as error:
        sys.exit(f"{UNREADABLE}: {error}. See: {program()} doctor")


def _interrupted() -> threading.Event:
    """Return what Ctrl-C sets from now on. asyncio's own way can lose one that comes as a task ends."""
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    return interrupted


def look(settings: LookSettings) -> "Status":
    """Look once.

    Raises:
        DatabaseUnavailable: PostgreSQL can't say.
    """
    [found] = _looks(settings, None, threading.Event())
    return found


def _looks(settings: LookSettings, every: float | None, stop: threading.Event) -> "Generator[Status, None, None]":
    """Look once, or again and again until `stop` is set, over the same connections."""
    from users_api.database import DatabaseUnavailable
    from users_api.pool import Pool
    from users_api.status.page import status_of
    from users_api.status.transport import Transport

    transport = Transport(settings.redis_url)
    with asyncio.Runner() as runner:
        pool = Pool(settings.database_url)
        runner.run(pool.open())
        try:
            while not stop.is_set():
                try:
                    yield runner.run(status_of(pool, transport))
                except DatabaseUnavailable as error:
                    if every is None:
                        raise
                    typer.echo(f"{UNREADABLE}: {error}", err=True)
                if every is None:
                    return
                stop.wait(every)
        finally:
            runner.run(pool.close())
            transport.close()


def _print(looks: "Iterable[Status]", *, as_json: bool) -> None:
    for found in looks:
        if as_json:
            output.print_json(found.model_dump())
            continue
        if output.in_terminal():
            _print_for_people(found)
            continue
        print_rows(*_table(found, STATES))
        for kind, words in servers(found):
            typer.echo(f"{kind}\t{words}")


def _print_for_people(found: "Status") -> None:
    from rich.console import Console

    table, left_out = fit(*_table(found, _states(found)), output.width())
    Console().print(table)
    for line in [left_out, *(f"{kind:10} {words}" for kind, words in servers(found)), _next(found)]:
        if line:
            typer.echo(line)


def _show_live(looks: "Iterable[Status]", every: float) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(screen=True, auto_refresh=False) as live:
        for found in looks:
            lines = [Text(f"{kind:10} {words}") for kind, words in servers(found)]
            title = Text(f"{output.moment(found.time)} UTC, every {every:g} s; Ctrl-C ends", style="dim")
            table, left_out = fit(*_table(found, _states(found)), live.console.width)
            live.update(Group(title, Text(), table, Text(left_out, style="dim"), *lines), refresh=True)


def fit(headings: Sequence[str], rows: Rows, columns: int) -> "tuple[Table, str]":
    """Return a table without the last columns that a terminal has no room for, and a sentence on what is left out.

    A number that is cut is a wrong one.
    """
    from users_api.herald import tables

    widths = [max(len(str(cell)) for cell in column) for column in zip(headings, *rows, strict=True)]
    needed = len(widths) - len(LAST)
    gap = 2 if sum(widths[:needed]) + 2 * needed <= columns else 1
    kept = len(widths)
    while kept > 1 and sum(widths[:kept]) + gap * kept > columns:
        kept -= 1
    left_out = f"A wider terminal also shows: {', '.join(headings[kept:])}." if headings[kept:] else ""
    return tables.table(headings[:kept], [row[:kept] for row in rows], gap), left_out


def _next(found: "Status") -> str:
    """Name the command that says more, if something failed or waits for another attempt."""
    troubled = any(each.last_error for each in found.subscriptions)
    return f"See why: {program()} deliveries groups" if troubled else ""


def _states(found: "Status") -> list[DeliveryState]:
    """Return the states that are worth a column."""
    return [
        state for state in STATES if state in ALWAYS or any(each.states[state].count for each in found.subscriptions)
    ]


def _table(found: "Status", states: Sequence[DeliveryState]) -> tuple[Sequence[str], Rows]:
    """Return headings and rows: a subscription each."""
    headings = ("subscription", "late by", *states, *LAST)
    return headings, [_cells(each, states) for each in found.subscriptions]


def _cells(found: "SubscriptionStatus", states: Sequence[DeliveryState]) -> Sequence[object]:
    counts = [output.number_of(found.states[state].model_dump()) for state in states]
    late, oldest = (output.span(each) if each > 0 else "-" for each in (found.overdue_seconds, found.oldest_seconds))
    lags = [_lag(quantile, found.hour.lag_mean) for quantile in (found.hour.lag_median, found.hour.lag_p95)]
    name = found.name if found.declared else f"{found.name} (unknown)"
    return name, late, *map(_shown, counts), oldest, f"{found.hour.succeeded:,}", *lags


def _shown(count: str) -> str:
    return "-" if count == "0" and output.in_terminal() else count


def _lag(quantile: float | None, mean: float | None) -> str:
    """Write a bound. Beside a mean, no quantile means over two hours; without a mean there is nothing to tell."""
    if quantile is None:
        return "-" if mean is None else "> 2 h"
    return f"< {output.span(quantile)}"


def servers(found: "Status") -> list[tuple[str, str]]:
    """Return lines of a kind and how it does: last errors, what has run for longest, servers and processes."""
    postgresql, redis = found.postgresql, found.redis
    errors = [
        ("last error", output.text(f"{each.name} is {each.last_error.state}: {each.last_error.text}"))
        for each in found.subscriptions
        if each.last_error
    ]
    running = [
        ("running", output.text(f"{each.name} of {longest.subject}, since {output.moment(longest.started_at)}"))
        for each in found.subscriptions
        for longest in each.longest_running[:1]
    ]
    used = f"{postgresql.connections} of {postgresql.max_connections} connections"
    lines = [("postgresql", f"{postgresql.version}, {output.size(postgresql.database_bytes)}, {used}")]
    if redis.fault:
        return [*errors, *running, *lines, ("redis", output.text(redis.fault))]
    most = f" of {output.size(redis.max_bytes)}" if redis.max_bytes else ""
    receipts = f"{redis.receipts or 0:,} receipts unread"
    lines.append(("redis", f"{redis.version}, {output.size(redis.used_bytes)}{most}, {redis.policy}, {receipts}"))
    lines += [("queue", f"{each.queue}: {each.waiting:,} waiting, {each.messages:,} in all") for each in redis.queues]
    for relay in redis.relays:
        failing = "".join(f"; {loop} fails: {error}" for loop, error in relay.failing.items())
        up = f", up {output.span(relay.up_seconds)}" if relay.up_seconds is not None else ""
        lines.append(("relay", f"{relay.relay} of {relay.publisher}: {_alive(relay.alive)}{up}{failing}"))
    for worker in redis.workers:
        holds = ", ".join(f"{number} of {queue}" for queue, number in worker.holds.items())
        lines.append(("worker", f"{worker.worker}: {_alive(worker.alive)}, holds {holds}"))
    lines += [("relay", "none")] if not redis.relays else []
    lines += [("worker", "none")] if not redis.workers else []
    return [*errors, *running, *((kind, output.text(words)) for kind, words in lines)]


def _alive(alive: bool) -> str:
    return "alive" if alive else "DEAD"
