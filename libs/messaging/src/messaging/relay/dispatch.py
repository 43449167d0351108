"""Enqueue what is due.

Claim first (committed: `queued`, with a lease), then enqueue. A relay that dies in between leaves rows whose
message Redis doesn't hold, which reconciliation enqueues again; the other order would enqueue twice. No
transaction is open while Redis is spoken to.
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
"""Deliveries that one round enqueues at most."""

ROOM = 10_000
"""A queue that may hold this many deliveries gets no more for now: a backlog belongs in PostgreSQL, and a Redis that is
full of one consumer's messages would stop every other consumer."""

STUCK_SECONDS = 10.0
"""After so long without room a queue is reported. Under load a queue is full again and again, but never for long."""

LEASE = 15.0
"""Seconds after which the relay first looks whether a message that nobody reported on is still there."""

_ENQUEUE = Script("""
-- Put messages into queues, all or none (a full or read-only Redis refuses the first write, or nothing), and say how
-- many messages wait in each queue. KEYS: of each subscription its queue's messages, and their ids. ARGV: of each
-- message the place of its subscription, its id, and itself. A script, because packing one command takes a client less
-- than packing many. It reads first, so that a key of a wrong type is met before anything is written.
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
    """A due delivery that this relay has claimed, packed into the message `message_id`.

    `place`: by it what is due first comes first, whatever order PostgreSQL's answer is in.
    """

    event_id: UUID
    subscription: str
    message_id: str
    place: int
    dispatch: int
    generation: int
    envelope: str


class Dispatcher:
    """Moves due deliveries of the given subscriptions into their queues, as messages of the publisher.

    `limit`: deliveries in a round. `room`: deliveries in a queue.
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
        self._keys = [key for each in self._open for key in _keys(each.queue)]
        self._places = {name: str(place) for place, name in enumerate(self._subscriptions, 1)}
        self._told = False
        self._full_since: dict[str, float] = {}
        self._stuck: set[str] = set()

    @property
    def held_up(self) -> bool:
        """Whether a queue was too full, lately, to be given more."""
        return len(self._open) < len(self._subscriptions)

    def dispatch(self) -> int:
        """Enqueue due deliveries, up to the limit, and return how many. A queue that is full enough gets no more.

        Raises:
            redis.RedisError: Redis didn't take them; they are due again.
        """
        if self.held_up or not self._told:  # else there was room after the last round
            self._open = self._with_room()
        claimed = self._claim() if self._open else []
        if claimed:
            try:
                self._open, self._told = self._enqueue(claimed), True
            except redis.RedisError:
                self._told = False
                self._release(claimed)
                raise
            log.debug("deliveries.enqueued", count=len(claimed))
        return len(claimed)

    def next_due(self) -> float | None:
        """Return the seconds until the next delivery is due that could be enqueued; None, if nothing waits."""
        with self._database.connection() as connection:
            row = connection.execute(deliveries.NEXT_DUE, {"names": [each.name for each in self._open]}).fetchone()
        return row[0] if row else None

    def _with_room(self) -> list[Subscription[EventData]]:
        """Return the subscriptions whose queue has room. That Redis is away or full shows here: nothing is claimed."""
        self._redis.set(layout.PROBE, "", px=1)
        return self._open_ones(_ENQUEUE.run(self._redis, self._keys))

    def _open_ones(self, lengths: Sequence[int]) -> list[Subscription[EventData]]:
        asked = zip(self._subscriptions.values(), lengths, strict=True)
        has_room = [subscription for subscription, length in asked if length * subscription.group_size < self._room]
        self._report_full(set(self._subscriptions) - {each.name for each in has_room})
        return has_room

    def _report_full(self, full: set[str]) -> None:
        """Log which queues have had no room for a while, and which of these have room again."""
        now = time.monotonic()
        self._full_since = {name: self._full_since.get(name, now) for name in full}
        stuck = {name for name, since in self._full_since.items() if now - since >= STUCK_SECONDS}
        for name in sorted(stuck - self._stuck):
            queue = self._subscriptions[name].queue
            log.error("queue.full", queue=queue, subscription=name, hint="see whether its consumer is running")
        for name in sorted(self._stuck - full):
            log.info("queue.has_room", queue=self._subscriptions[name].queue, subscription=name)
        self._stuck = (self._stuck | stuck) & full

    def _claim(self) -> list[Claimed]:
        with self._database.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(Claimed))
            return cursor.execute(
                deliveries.CLAIM,
                {
                    "names": [each.name for each in self._open],
                    "group_sizes": [each.group_size for each in self._open],
                    "claim": f"{self._id_prefix}{uuid4().hex}",
                    "limit": self._limit,
                    "lease": LEASE,
                },
            ).fetchall()

    def _enqueue(self, claimed: list[Claimed]) -> list[Subscription[EventData]]:
        """Put all messages into their queues in one round trip, all or none, and return who has room for more."""
        batches: dict[str, list[Claimed]] = {}
        for each in sorted(claimed, key=_in_order):
            batches.setdefault(each.message_id, []).append(each)
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
