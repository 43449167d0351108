"""Find what vanished from Redis, without waiting for a lease to run out, and remove what is left of it.

- Data of a message whose id no queue and no worker has is removed, and its deliveries are due again.
- If a queue holds none of the publisher's messages, or ids without data, it may have lost messages: the leases of its
  deliveries run out soon, and then `messaging.relay.reconcile` looks for each message.
- If Redis may evict keys, that is logged. A stream of receipts that has become unreadable is repaired.
"""

from collections.abc import Sequence

import redis
import structlog

from contracts import EventData, Subscription
from messaging.process.database import Pool
from messaging.relay.lost import look, look_soon, lose
from messaging.relay.receipt_reader import make_sound
from messaging.wire import layout, message

SWEEP_SECONDS = 5.0
"""Seconds between two looks. A worker that Redis has forgotten registers itself with its next heartbeat, which comes
sooner. So a message that no queue and no worker has in two looks is lost."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


class Sweeper:
    """Looks after the messages of `publisher` in the queues of `subscriptions`."""

    def __init__(
        self, pool: Pool, client: redis.Redis, subscriptions: Sequence[Subscription[EventData]], publisher: str
    ) -> None:
        self._pool = pool
        self._redis = client
        self._publisher = publisher
        self._queues: dict[str, list[str]] = {}
        for subscription in subscriptions:
            self._queues.setdefault(subscription.queue, []).append(subscription.name)
        self._suspects: dict[str, list[bytes]] = {queue: [] for queue in self._queues}
        self._policy = "noeviction"

    def sweep(self) -> None:
        """Look once into each queue."""
        pipeline = self._redis.pipeline(transaction=False)
        for queue in self._queues:
            pipeline.exists(layout.queue_key(queue), layout.messages_key(queue))
        stored = pipeline.execute()
        affected = [queue for queue, count in zip(self._queues, stored, strict=True) if not count or self._sweep(queue)]
        names = [name for queue in affected for name in self._queues[queue]]
        look_soon(self._pool, names)
        self._report_eviction()
        make_sound(self._redis, self._publisher)

    def _sweep(self, queue: str) -> bool:
        """Sweep a queue, and return whether it may have lost messages that left no data behind."""
        seen = look(self._redis, self._publisher, queue, suspects=self._suspects[queue])
        self._suspects[queue] = seen.suspects
        lose(self._pool, (reference for data in seen.swept for reference in message.references(data)))
        return seen.hollow > 0 or not seen.present

    def _report_eviction(self) -> None:
        """Log once, as an error, that this Redis evicts keys when it is full."""
        try:
            policy = self._redis.info("memory").get("maxmemory_policy", "noeviction")
        except redis.ResponseError:  # this user has no right to INFO
            return
        if policy not in ("noeviction", self._policy):
            log.error("redis.may_evict", maxmemory_policy=policy, hint="set Redis' maxmemory-policy to noeviction")
        self._policy = policy
