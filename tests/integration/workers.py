"""What the tests of workers share: real Dramatiq threads, and waiting for what they do."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import redis
from dramatiq import Worker

from contracts import Event, Subscription, UserRegistered
from messaging import HeraldBroker
from messaging.relay import run
from messaging.relay.receipt_reader import ReceiptReader
from messaging.wire import layout
from messaging.wire.waits import Waits
from users_api import PUBLISHER

if TYPE_CHECKING:
    from .conftest import RelayParts

RECEIPTS, EPOCH = layout.receipts_key(PUBLISHER), layout.epoch_key(PUBLISHER)

run_relay = partial(run, publisher=PUBLISHER)

Publish = Callable[..., list[Event[UserRegistered]]]
Consume = Callable[[Subscription[UserRegistered], Callable[[Event[UserRegistered]], None]], None]


def readers(waits: Waits, client: redis.Redis) -> tuple[ReceiptReader, ReceiptReader]:
    """Make what a relay's receiver reads with: by a client that waits, and by one that doesn't."""
    return ReceiptReader(waits.client, "test", PUBLISHER), ReceiptReader(client, "test", PUBLISHER)


@contextmanager
def full(client: redis.Redis) -> Iterator[None]:
    """Let Redis be full for a while: it answers, and takes nothing."""
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


@contextmanager
def working(broker: HeraldBroker, threads: int = 4) -> Iterator[Worker]:
    worker = Worker(broker, worker_threads=threads, worker_timeout=100)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        broker.close()


def states(relay: "RelayParts", subscription: str = "audit_log") -> Counter[str]:
    with relay.pool.connection() as connection:
        found = connection.execute("SELECT state FROM deliveries WHERE subscription = %s", (subscription,))
        return Counter(row[0] for row in found)
