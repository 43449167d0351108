"""Does cost grow with history? The same burst on empty tables, and on tables full of finished deliveries."""

import time
from statistics import median
from typing import Any, LiteralString

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import burst, idle
from benchmarks.running import Running
from contracts import SUBSCRIPTIONS
from messaging.relay import deliveries

BATCH = 250_000
"""Events written in one transaction; a place to look for Ctrl-C, too."""

REPEATS = 20

FILL: LiteralString = """
-- Finished long ago, but not so long that they would be forgotten: over the last 20 days, one after another. Ids are
-- UUIDv7, as real ones are (PostgreSQL 18 can make them). The caller has switched off foreign key checks: 10 million
-- of them prove nothing here.
WITH old AS (
    SELECT uuidv7(-age) AS id, number, now() - age AS at
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number,
        LATERAL (SELECT interval '20 days' * (1 - number::float8 / %(events)s) + interval '1 hour' AS age) AS ages
), recorded AS (
    INSERT INTO events (id, type, subject, envelope, available_at, recorded_at)
    SELECT id, 'user_registered', 'old/' || number, json_build_object('id', id, 'data', repeat('x', 400)), at, at
    FROM old
)
INSERT INTO deliveries
    (event_id, subscription, state, attempts, dispatch, created_at, queued_at, started_at, finished_at)
SELECT id, subscription, 'succeeded', 1, 1, at, at, at, at
FROM old CROSS JOIN unnest(%(names)s::text[]) AS subscription
"""


def fill(running: Running, count: int, console: Console) -> float:
    """Write so many finished deliveries, one of each subscription for each event; return the seconds it took."""
    began = time.monotonic()
    names = [each.name for each in SUBSCRIPTIONS]
    events = count // len(names)
    with psycopg.connect(running.place.databases["users"], autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        with console.status("filling") as status:
            for first in range(0, events, BATCH):
                last = min(events, first + BATCH)
                given = {"first": first + 1, "last": last, "events": events, "names": names}
                connection.execute(FILL, given)
                status.update(f"filling: {last:,} of {events:,} events, {time.monotonic() - began:.0f} s")
            status.update("VACUUM ANALYZE")
            connection.execute("VACUUM (ANALYZE) events, deliveries")
            connection.execute("CHECKPOINT")
    return time.monotonic() - began


def measure(running: Running, registrations: int, prefix: str) -> dict[str, Any]:
    """Take a burst, idleness, and the relay's two questions on a quiet system; milliseconds for those."""
    measured = burst.measure(running, registrations, prefix)
    idling = {"cpu_idle_servers": idle.measure(running)["cpu_servers"]}
    return {**measured, **idling, **_questions(running)}


def _questions(running: Running) -> dict[str, float]:
    """Time what the relay asks whenever it looks."""
    names = [each.name for each in SUBSCRIPTIONS]
    sizes = [each.group_size for each in SUBSCRIPTIONS]
    given = {"names": names, "group_sizes": sizes, "claim": "bench", "limit": 1000, "lease": 60}
    with psycopg.connect(running.place.databases["users"]) as connection:
        return {
            name: median(_milliseconds(connection, statement, given) for _ in range(REPEATS))
            for name, statement in {"claim_ms": deliveries.CLAIM, "next_due_ms": deliveries.NEXT_DUE}.items()
        }


def _milliseconds(
    connection: psycopg.Connection[tuple[object, ...]], statement: LiteralString, given: dict[str, object]
) -> float:
    began = time.perf_counter()
    connection.execute(statement, given)
    took = time.perf_counter() - began
    connection.rollback()
    return 1000 * took


SHOWN = {
    "processed/s": ("processed", 1, ",.0f"),
    "POST/s": ("posts", 1, ",.0f"),
    "services' CPU s/1,000": ("cpu_services", 1, ".2f"),
    "PostgreSQL's CPU s/1,000": ("cpu_postgres", 1, ".2f"),
    "idle, servers' CPU ms/s": ("cpu_idle_servers", 1000, ".1f"),
    "claim, ms": ("claim_ms", 1, ".2f"),
    "next due, ms": ("next_due_ms", 1, ".2f"),
}


def show(before: dict[str, Any], after: dict[str, Any], count: int, console: Console) -> None:
    """Print both, and what became of each figure."""
    table = Table(title=f"with {count:,} finished deliveries", title_justify="left")
    for title in ("", "empty", "full", "ratio"):
        table.add_column(title, justify="right" if title else "left")
    for title, (name, scale, form) in SHOWN.items():
        ends = [float(each[name]) * scale for each in (before, after)]
        table.add_row(title, *(format(end, form) for end in ends), f"{ends[1] / ends[0]:.2f}" if ends[0] else "")
    console.print(table)
