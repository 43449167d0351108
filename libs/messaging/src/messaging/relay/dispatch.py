"""Enqueue due deliveries.

The relay first claims (commits `queued`, with a lease) and then enqueues. If it dies in between, it leaves rows whose
message isn't in Redis, and reconciliation makes them due again; the other order would enqueue twice. No transaction is
open while the relay talks to Redis.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import redis
import structlog
from psycopg.rows import class_row

from contracts import EventData, Subscription
from messaging.process.database import Connections
from messaging.relay import deliveries
from messaging.wire import layout, message
from messaging.wire.script import Script

LIMIT = 500
"""The most deliveries that one round enqueues."""

ROOM = 10_000
"""While a queue may hold this many deliveries it gets no more: a backlog belongs in PostgreSQL, and a Redis full of one
consumer's messages would stop every other consumer."""

STUCK_SECONDS = 10.0
"""A queue without room for this long is logged. Under load a queue is often full, but never for long."""

LEASE = 15.0
"""Seconds without a receipt after which the relay first looks whether a delivery's message is still in Redis."""

_ENQUEUE = Script("""
-- Put messages into queues, all or none (a full or read-only Redis refuses the first write, or no write). Return the
-- length of each subscription's queue. KEYS: for each subscription, the hash of its queue's messages and the list of
-- their ids. ARGV: for each message, the place of its subscription in KEYS, its id, and its data. A script, because a
-- client packs one command faster than many. It reads first, so that it meets a key of a wrong type before it writes.
local length = {}
for i = 1, #KEYS, 2 do
    redis.call('HLEN', KEYS[i])
    length[KEYS[i + 1]] = redis.call('LLEN', KEYS[i + 1])
end
for i = 1, #ARGV, 3 do
    local place = 2 * ARGV[i]
    redis.call('HSET', KEYS[place - 1], ARGV[i + 1], ARGV[i + 2])
    length[KEYS[place]] = redis.call('RPUSH', KEYS[place], ARGV[i + 1])
end
local lengths = {}
for i = 2, #KEYS, 2 do lengths[#lengths + 1] = length[KEYS[i]] end
return lengths
""")

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A due delivery that this relay has claimed, to be packed into the message `message_id`.

    `place`: its rank by due time, because PostgreSQL returns the rows in any order.
    """

    event_id: UUID
    subscription: str
    message_id: str
    place: int
    dispatch: int
    generation: int
    envelope: str


class Dispatcher:
    """Moves due deliveries of `subscriptions` into their queues, as messages of `publisher`.

    `limit`: the most deliveries in one round. `room`: the most deliveries in one queue.
    """

    def __init__(  # noqa: PLR0913  # the limits have defaults
        self,
        database: Connections,
        client: redis.Redis,
        subscriptions: Sequence[Subscription[EventData]],
        publisher: str,
        *,
        limit: int = LIMIT,
        room: int = ROOM,
    ) -> None:
        self._database = database
        self._redis = client
        self._id_prefix = message.id_prefix(publisher)
        self._limit = limit
        self._room = room
        self._subscriptions = {subscription.name: subscription for subscription in subscriptions}
        self._open = list(self._subscriptions.values())
        self._keys = [key for subscription in self._open for key in _keys(subscription.queue)]
        self._places = {name: str(place) for place, name in enumerate(self._subscriptions, 1)}
        self._knows_room = False
        self._full_since: dict[str, float] = {}
        self._stuck: set[str] = set()

    @property
    def held_up(self) -> bool:
        """Whether a queue had no room after the last round."""
        return len(self._open) < len(self._subscriptions)

    def dispatch(self) -> int:
        """Enqueue due deliveries, up to the limit, and return how many. A queue without room gets none.

        Raises:
            redis.RedisError: Redis didn't accept the messages; their deliveries are due again.
        """
        if self.held_up or not self._knows_room:  # otherwise the last round found room in every queue
            self._open = self._with_room()
        claimed = self._claim() if self._open else []
        if claimed:
            try:
                self._open, self._knows_room = self._enqueue(claimed), True
            except redis.RedisError:
                self._knows_room = False
                self._release(claimed)
                raise
            log.debug("deliveries.enqueued", count=len(claimed))
        return len(claimed)

    def next_due(self) -> float | None:
        """Return the seconds until the next delivery whose queue has room is due; None, if none waits."""
        names = [subscription.name for subscription in self._open]
        with self._database.connection() as connection:
            row = connection.execute(deliveries.NEXT_DUE, {"names": names}).fetchone()
        return row[0] if row else None

    def _with_room(self) -> list[Subscription[EventData]]:
        """Return the subscriptions whose queue has room.

        Raises:
            redis.RedisError: Redis is unreachable or full. Nothing has been claimed.
        """
        self._redis.set(layout.PROBE, "", px=1)
        return self._open_ones(_ENQUEUE.run(self._redis, self._keys))

    def _open_ones(self, lengths: Sequence[int]) -> list[Subscription[EventData]]:
        measured = zip(self._subscriptions.values(), lengths, strict=True)
        has_room = [subscription for subscription, length in measured if length * subscription.group_size < self._room]
        self._report_full(set(self._subscriptions) - {subscription.name for subscription in has_room})
        return has_room

    def _report_full(self, full: set[str]) -> None:
        """Log queues that have had no room for STUCK_SECONDS, and those of them that have room again."""
        now = time.monotonic()
        self._full_since = {name: self._full_since.get(name, now) for name in full}
        stuck = {name for name, since in self._full_since.items() if now - since >= STUCK_SECONDS}
        for name in sorted(stuck - self._stuck):
            queue = self._subscriptions[name].queue
            log.error("queue.full", queue=queue, subscription=name, hint="check that its consumer is running")
        for name in sorted(self._stuck - full):
            log.info("queue.has_room", queue=self._subscriptions[name].queue, subscription=name)
        self._stuck = (self._stuck | stuck) & full

    def _claim(self) -> list[Claimed]:
        with self._database.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(Claimed))
            return cursor.execute(
                deliveries.CLAIM,
                {
                    "names": [subscription.name for subscription in self._open],
                    "group_sizes": [subscription.group_size for subscription in self._open],
                    "claim": f"{self._id_prefix}{uuid4().hex}",
                    "limit": self._limit,
                    "lease": LEASE,
                },
            ).fetchall()

    def _enqueue(self, claimed: list[Claimed]) -> list[Subscription[EventData]]:
        """Enqueue all messages or none, in one round trip; return the subscriptions whose queue has room for more."""
        batches: dict[str, list[Claimed]] = {}
        for delivery in sorted(claimed, key=_in_order):
            batches.setdefault(delivery.message_id, []).append(delivery)
        messages: list[str | bytes] = []
        for message_id, batch in batches.items():
            name = batch[0].subscription
            data = message.encode(message_id, self._subscriptions[name], map(_item, batch))
            messages += [self._places[name], message_id, data]
        return self._open_ones(_ENQUEUE.run(self._redis, self._keys, *messages))

    def _release(self, claimed: list[Claimed]) -> None:
        with self._database.connection() as connection:
            connection.execute(deliveries.RELEASE, deliveries.triples(claimed))


def _keys(queue: str) -> tuple[str, str]:
    return layout.messages_key(queue), layout.queue_key(queue)


def _in_order(claimed: Claimed) -> tuple[int, str]:
    return claimed.place, claimed.message_id


def _item(claimed: Claimed) -> message.Item:
    return message.Item(claimed.dispatch, claimed.generation, claimed.envelope)
