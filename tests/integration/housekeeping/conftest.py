"""What is tidied, and who tidies it."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
import redis
from tests.integration.conftest import RelayParts

from contracts import Event, EventData
from messaging.consuming.receipt_writer import report
from messaging.process.database import Pool, open_pool
from messaging.relay import Retention
from messaging.relay.housekeep import Housekeeper
from messaging.relay.receipt_reader import ReceiptReader
from messaging.wire.receipt import Receipt
from users_api import PUBLISHER
from users_api.retention import FORGET_KEYS

Publish = Callable[..., list[Event[EventData]]]
Old = Callable[[int], list[UUID]]
Housekeep = Callable[..., Housekeeper]

MONTH = Retention(timedelta(days=30), {"idempotency_keys": FORGET_KEYS})
MONTH_AGO = "now() - interval '30 days'"


@pytest.fixture
def impatient_pool(users_database: str) -> Iterator[Pool]:
    """Connections to which waiting for a lock is an error."""
    with open_pool(f"{users_database}?options=-clock_timeout%3D5s", size=2, name="test") as pool:
        yield pool


@pytest.fixture
def housekeep(impatient_pool: Pool, relay: RelayParts) -> Housekeep:
    """Make a housekeeper: `housekeep(limit=2)`."""

    def make(retention: Retention = MONTH, stop: threading.Event | None = None, **limits: float) -> Housekeeper:
        return Housekeeper(impatient_pool, relay.redis, retention, stop or threading.Event(), PUBLISHER, **limits)  # type: ignore[arg-type]  # counts are int

    return make


@pytest.fixture
def housekeeper(housekeep: Housekeep) -> Housekeeper:
    return housekeep()


@pytest.fixture
def old(relay: RelayParts, publish_users: Publish) -> Old:
    """Publish events that were over 31 days ago: `old(3)`."""

    def publish_old(number: int) -> list[UUID]:
        ids = [event.id for event in publish_users(number)]
        relay.execute(
            "UPDATE events SET recorded_at = recorded_at - interval '31 days',"
            " available_at = available_at - interval '31 days' WHERE id = ANY (%s)",
            ids,
        )
        relay.execute(
            "UPDATE deliveries SET state = 'succeeded', due_at = NULL, lease_until = NULL,"
            " finished_at = now() - interval '31 days' WHERE event_id = ANY (%s)",
            ids,
        )
        return ids

    return publish_old


@pytest.fixture
def readers(redis_client: redis.Redis) -> dict[str, ReceiptReader]:
    """Two relays that have read a receipt each: `done` is done with it, `owing` isn't."""
    both = {name: ReceiptReader(redis_client, name, PUBLISHER) for name in ("done", "owing")}
    both["done"].read(wait=0.001)  # makes the group
    for reader in both.values():
        report(redis_client, PUBLISHER, [Receipt(UUID(int=1), "audit_log", 1, "succeeded")])
        entry_ids, _ = reader.read(wait=1)
        if reader is both["done"]:
            reader.done(entry_ids)
    return both


def column(relay: RelayParts, query: str, *values: object) -> list[object]:
    with relay.pool.connection() as connection:
        return [value for (value,) in connection.execute(query.encode(), values)]


def events(relay: RelayParts) -> set[object]:
    return set(column(relay, "SELECT id FROM events"))


def deliveries(relay: RelayParts) -> int:
    return len(column(relay, "SELECT state FROM deliveries"))
