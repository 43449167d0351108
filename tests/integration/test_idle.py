"""What an idle Herald asks of its servers. Plain Dramatiq's two workers alone ask Redis for 15 things a second."""

import time

import pytest
import redis
from structlog.testing import capture_logs
from tests.patience import until

from contracts import AUDIT_LOG, WELCOME_EMAIL, EventData, Subscription
from messaging.wire import layout

from .conftest import RelayParts
from .workers import Consume

SECONDS = 10.0


@pytest.fixture
def subscriptions() -> tuple[Subscription[EventData], ...]:
    return (WELCOME_EMAIL, AUDIT_LOG)


def asked(client: redis.Redis) -> int:
    """Count commands, those within scripts as well."""
    told = client.info("commandstats")
    return sum(of["calls"] for name, of in told.items() if name != "cmdstat_info")


def transactions(relay: RelayParts) -> int:
    query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    with relay.pool.connection() as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def test_an_idle_relay_and_two_idle_workers_hardly_ask_for_anything(
    relay: RelayParts, consume: Consume, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for subscription in (WELCOME_EMAIL, AUDIT_LOG):
        consume(subscription, lambda delivery: None)
    until(lambda: redis_client.scard(layout.WORKERS) == 2)
    time.sleep(1)  # what starting needs is done
    before = asked(redis_client), transactions(relay)

    with capture_logs() as said:
        time.sleep(SECONDS)

    after = asked(redis_client), transactions(relay)
    assert (after[0] - before[0]) / SECONDS < 8
    assert (after[1] - before[1]) / SECONDS < 4
    assert (said, caplog.text) == ([], ""), "no connection is too impatient for its waits"
