"""What the tests of workers share: real Dramatiq threads, and waiting for what they do."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import redis
from dramatiq import Worker

from contracts import Event, EventData, Subscription
from messaging import Delivery, HeraldBroker

if TYPE_CHECKING:
    from .conftest import RelayParts

Publish = Callable[..., list[Event[EventData]]]
Consume = Callable[[Subscription[EventData], Callable[[Delivery], None]], None]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


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
