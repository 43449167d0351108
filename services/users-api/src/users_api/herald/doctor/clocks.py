"""Do the clocks agree? Leases and due times are by the database's alone, but event ids begin with the API's time."""

import time
from collections.abc import Iterator
from contextlib import suppress

import redis
from psycopg.rows import dict_row

from messaging.process.database import connect
from messaging.wire.client import connect as connect_redis
from users_api.herald.doctor.finding import Finding
from users_api.herald.output import span

MOST = 2.0
"""Seconds of difference from which on a search by time would surprise."""


def check(database_url: str, redis_url: str | None) -> Iterator[Finding]:
    """Compare this host's clock with those of PostgreSQL and Redis; the way there and back counts as an error."""
    with connect(database_url, name="doctor", row_factory=dict_row) as connection:
        sent = time.time()
        [row] = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS time").fetchall()
        yield _finding("postgresql", row["time"], sent)
    if redis_url is not None:
        client = connect_redis(redis_url, timeout=MOST)
        with suppress(redis.RedisError):  # another check says so
            sent = time.time()
            seconds, microseconds = client.time()
            yield _finding("redis", seconds + microseconds / 1e6, sent)
        client.close()


def _finding(name: str, there: float, sent: float) -> Finding:
    middle, error = (sent + time.time()) / 2, (time.time() - sent) / 2
    difference = max(0.0, abs(there - middle) - error)
    if difference < MOST:
        return Finding(f"clock of {name}", "ok", f"within {span(difference + error)} of this host's")
    order = "ahead of" if there > middle else "behind"
    return Finding(f"clock of {name}", "wrong", f"{span(difference)} {order} this host's", "Run NTP on both hosts.")
