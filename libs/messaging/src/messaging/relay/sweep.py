"""Find what vanished from Redis, whatever the leases say, and sweep away what is left of it.

- Data whose id is in no queue and in no worker's hands is removed, and what it carries is due again.
- A queue that holds nothing of ours, or ids without data, has lost messages if deliveries are still leased: their
  leases are looked at soon (`messaging.relay.reconcile`).
- A Redis that may evict our keys is reported, and a stream of receipts that can't be read on is mended.
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
"""Between two looks. Longer than between two heartbeats, which register a worker that Redis has forgotten: what nobody
has in two looks is lost."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


class Sweeper:
    """Looks after what is the publisher's in the queues of the given subscriptions."""

    def __init__(
        self, pool: Pool, client: redis.Redis, subscriptions: Sequence[Subscription[EventData]], publisher: str
    ) -> None:
        self._pool = pool
        self._redis = client
        self._publisher = publisher
        self._queues: dict[str, list[str]] = {}
        for each in subscriptions:
            self._queues.setdefault(each.queue, []).append(each.name)
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
        """Sweep a queue, and tell whether it has lost messages that left no data behind."""
        found = look(self._redis, self._publisher, queue, suspects=self._suspects[queue])
        self._suspects[queue] = found.suspects
        lose(self._pool, (reference for data in found.swept for reference in message.references(data)))
        return found.hollow > 0 or not found.present

    def _report_eviction(self) -> None:
        """Say once, loudly, that this Redis throws keys away when it is full."""
        try:
            policy = self._redis.info("memory").get("maxmemory_policy", "noeviction")
        except redis.ResponseError:  # this user may not ask
            return
        if policy not in ("noeviction", self._policy):
            log.error("redis.may_evict", maxmemory_policy=policy, hint="set Redis' maxmemory-policy to noeviction")
        self._policy = policy
