"""A search and a chunk of an operation read no more when there is more history, even by plans for small tables."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.rows import dict_row

from messaging.process.database import Pool, open_pool
from messaging.publishing import bulk, looking, replays, searching
from messaging.publishing.filtering import Filter
from messaging.publishing.searching import Reading
from messaging.publishing.states import DEAD
from messaging.relay.operate import Operator
from messaging.relay.relay import SETTINGS as RELAY_SETTINGS
from users_api import PUBLISHER
from users_api.pool import SETTINGS

from .searched import NOW
from .test_history import analyse, read_of

WINDOW = 50

GROW = """
-- Events of users with three digits, each with deliveries that succeeded, but for two in ten.
WITH old AS (
    INSERT INTO events (id, type, subject, envelope, available_at)
    SELECT (lpad(to_hex(1700000000000 + number), 12, '0') || repeat('0', 20))::uuid, 'user_registered',
        'users/' || number, '{}', now()
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number
    RETURNING id, subject
)
INSERT INTO deliveries (event_id, subscription, state, last_error, started_at, finished_at)
SELECT id, subscription, state, CASE WHEN state = 'failed' THEN '550 ' || subject END, ended, ended
FROM old CROSS JOIN unnest(ARRAY['audit_log', 'welcome_email']) AS subscription
    CROSS JOIN LATERAL (SELECT CASE WHEN subject LIKE '%%7' AND subscription = 'audit_log' THEN 'failed'
        WHEN subject LIKE '%%8' AND subscription = 'audit_log' THEN 'cancelled' ELSE 'succeeded' END AS state) AS drawn
    CROSS JOIN LATERAL (SELECT to_timestamp(1700000000 + split_part(subject, '/', 2)::int) AS ended) AS clock
"""

YOUNG, OLD = 1_000, 5_000


def ended(number: int) -> datetime:
    """Return when the deliveries of an event ended."""
    return datetime.fromtimestamp(1700000000 + number, UTC)


READINGS: dict[str, Callable[[], Reading[Any]]] = {
    "everything": lambda: searching.search(Filter(), 50),
    "failed": lambda: searching.search(Filter(states=("failed",)), 50),
    "an error": lambda: searching.search(Filter(error="550 users/977"), 50),
    "a group": lambda: searching.search(Filter(group="550 users/<number>"), 50),
    "pending": lambda: searching.search(Filter(states=("pending",)), 50),
    "cancelled": lambda: searching.search(Filter(states=("cancelled",)), 50),
    "a user": lambda: searching.search(Filter(subject="users/100"), 50),
    "a time": lambda: searching.search(Filter(until=NOW - timedelta(days=1)), 50),
    "no such subscription": lambda: searching.search(Filter(subscriptions=("gone",)), 50),
    "few that ended": lambda: searching.search(Filter(states=DEAD, finished_until=ended(40)), 50),
    "many that ended": lambda: searching.search(Filter(states=DEAD, finished_since=ended(0)), 50),
    "succeeded": lambda: searching.search(Filter(finished_since=ended(10), finished_until=ended(20)), 50),
    "groups": lambda: searching.groups(Filter()),
    "groups of few that ended": lambda: searching.groups(Filter(finished_since=ended(5), finished_until=ended(40))),
    "groups of many that ended": lambda: searching.groups(Filter(finished_since=ended(0))),
    "to be retried": lambda: bulk.eligible("retry", bulk.meant("retry", Filter())),
    "to be cancelled": lambda: bulk.eligible("cancel", bulk.meant("cancel", Filter())),
    "to be replayed": lambda: bulk.eligible(
        "replay", bulk.meant("replay", Filter(subscriptions=("audit_log",), since=NOW - timedelta(days=9999)))
    ),
}


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (looking, replays):
        monkeypatch.setattr(module, "WINDOW", WINDOW)
    monkeypatch.setattr(looking, "INDEX_WINDOW", WINDOW)
    monkeypatch.setattr(searching, "GROUPED", WINDOW)


@pytest.fixture
def pool(users_database: str) -> Iterator[Pool]:
    """One connection with the settings of the API's, on tables that nothing analyses."""
    with open_pool(users_database, size=1, name="test", settings=SETTINGS) as opened:
        with opened.connection() as connection:
            for table in ("deliveries", "events"):
                connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        yield opened


def grow(pool: Pool, first: int, last: int) -> None:
    with pool.connection() as connection:
        connection.execute(GROW.encode(), {"first": first, "last": last})


def run(pool: Pool, reading: Reading[Any]) -> None:
    with pool.connection() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        try:
            statement = next(reading)
            while True:
                statement = reading.send(cursor.execute(*statement).fetchall())
        except StopIteration:
            pass


def cost(pool: Pool, work: Callable[[], None]) -> int:
    """Return how much of both tables some work reads, once plans are kept."""
    for _ in range(8):
        work()
    before = read_of(pool, "deliveries") + read_of(pool, "events")
    work()
    return read_of(pool, "deliveries") + read_of(pool, "events") - before


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize("name", READINGS)
def test_a_search_reads_no_more_when_there_is_more_history(
    pool: Pool, users_database: str, name: str, analysed: bool
) -> None:
    grow(pool, 1, 20)
    if analysed:
        analyse(users_database)
    grow(pool, 21, YOUNG)
    young = cost(pool, lambda: run(pool, READINGS[name]()))
    grow(pool, YOUNG + 1, OLD)
    old = cost(pool, lambda: run(pool, READINGS[name]()))

    assert old < 12 * WINDOW, "several looks at a window, and what is shown"
    assert old < 1.5 * young + 2 * WINDOW


@pytest.mark.parametrize("action", bulk.ACTIONS)
def test_a_chunk_reads_no_more_when_there_is_more_history(users_database: str, action: bulk.Action) -> None:
    fields: dict[str, Any] = {"subscriptions": ("audit_log",), "since": NOW - timedelta(days=9999)}
    with open_pool(users_database, size=1, name="test", settings=RELAY_SETTINGS) as pool, closing(pool):
        operator = Operator(Borrowed(pool), PUBLISHER, chunk=5)  # type: ignore[arg-type]  # it needs no notification

        def chunk() -> None:
            with pool.connection() as connection:
                connection.execute("DELETE FROM operations")
                chosen = bulk.meant(action, Filter(**fields))
                number = searching.Total(count=0, exact=False)
                connection.execute(bulk.REQUEST, bulk.requesting(action, chosen, None, number))
            assert operator.operate()

        grow(pool, 1, 20)
        analyse(users_database)
        grow(pool, 21, YOUNG)
        young = cost(pool, chunk)
        grow(pool, YOUNG + 1, OLD)
        old = cost(pool, chunk)

    assert old < 12 * WINDOW
    assert old < 1.5 * young + 2 * WINDOW


class Borrowed:
    """A listener that lends the pool's connection, so that PostgreSQL's counts of it are known at once."""

    def __init__(self, pool: Pool) -> None:
        self.connection = pool.connection


def plan(pool: Pool, statement: searching.Statement) -> str:
    with pool.connection() as connection:
        return "\n".join(row[0] for row in connection.execute(f"EXPLAIN {statement[0].strip()}".encode(), statement[1]))


def test_what_fails_is_found_in_the_index_alone(pool: Pool) -> None:
    grow(pool, 1, YOUNG)
    assert "Index Only Scan Backward using deliveries_troubled" in plan(pool, next(searching.groups(Filter())))


@pytest.mark.parametrize("analysed", [False, True])
def test_what_ended_is_found_by_the_time_of_its_end(pool: Pool, users_database: str, analysed: bool) -> None:
    grow(pool, 1, 20)
    if analysed:
        analyse(users_database)
    grow(pool, 21, YOUNG)
    reading = searching.groups(Filter(finished_since=ended(0)))

    assert "using deliveries_dead" in plan(pool, next(reading))
    assert "using deliveries_dead" in plan(pool, reading.send([{"few": True}]))
