"""Find messages that got lost between PostgreSQL and a worker, and make their deliveries due again.

There are three ways to lose a message, and a check for each:
- Redis was wiped: the publisher's epoch is gone, so every lease runs out now.
- A worker died holding messages: this relay has watched it for SILENCE seconds and seen no heartbeat. The relay takes
  the messages away, and counts a crash for each delivery that had started. (The relay must have watched, because no
  worker sends heartbeats while Redis itself is away.)
- Anything else (a relay that died between claim and enqueue, a receipt that never came): the lease runs out. If the
  message no longer exists (`messaging.relay.lost`), it was lost. If it exists it just waits, so a long backlog causes
  no storm of duplicates.
"""

import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

import redis
import structlog
from psycopg.rows import class_row

from contracts import EventData, Subscription
from messaging.process.database import Pool
from messaging.publishing.counts import counting
from messaging.relay import deliveries, dispatch_ends
from messaging.relay.apply import log_dead, policies
from messaging.relay.dispatch import LEASE
from messaging.relay.lost import look, look_soon, lose
from messaging.relay.publishers import EPOCH_SECONDS, OURS
from messaging.wire import layout, message
from messaging.wire.script import FOREIGN, Script, mending

LIMIT = 500
SILENCE = 4.0
"""Seconds without a heartbeat, watched by this relay, after which a worker counts as dead. A worker that only lost its
connection is back within three."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

UNREADABLE = "\ufffd"

_TAKE_BACK = Script(
    OURS
    + """
-- Take away the messages of a queue that a dead worker holds and that are `ours`: PostgreSQL decides what becomes of
-- their deliveries. Forget the worker if it holds no other message. KEYS: the worker's heartbeat, its unacknowledged
-- ids, the queue's messages, the workers, Dramatiq's heartbeats. ARGV: the publisher, the member of the workers that
-- stands for this worker and queue, the worker's id, the longest life of a heartbeat in milliseconds.
-- Returns false if the worker has a heartbeat again. Checking that in here makes it impossible to rob a live worker.
-- Otherwise it returns the messages, the number of ids whose data has vanished, and whether the worker is forgotten.
local ttl = redis.call('PTTL', KEYS[1])
if ttl > 0 and ttl <= tonumber(ARGV[4]) then return false end
local ids = redis.call('SMEMBERS', KEYS[2])
redis.call('HLEN', KEYS[3])
redis.call('SCARD', KEYS[4])
redis.call('ZCARD', KEYS[5])
local taken, vanished = {}, 0
for _, id in ipairs(ids) do
    if ours(id) then
        local data = redis.call('HGET', KEYS[3], id)
        if data then taken[#taken + 1] = data else vanished = vanished + 1 end
        redis.call('HDEL', KEYS[3], id)
        redis.call('SREM', KEYS[2], id)
    end
end
if redis.call('EXISTS', KEYS[2]) == 1 then return {taken, vanished, 0} end
redis.call('SREM', KEYS[4], ARGV[2])
redis.call('ZREM', KEYS[5], ARGV[3])
redis.call('DEL', KEYS[1])
return {taken, vanished, 1}
"""
)

Holder = tuple[str, str]
"""A worker process, and a queue of which it may hold messages."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery whose lease ran out, and the message that carried it."""

    event_id: UUID
    subscription: str
    dispatch: int
    message_id: str


class Reconciler:
    """Looks after the messages of `publisher` in the queues of `subscriptions`."""

    def __init__(
        self, pool: Pool, client: redis.Redis, subscriptions: Sequence[Subscription[EventData]], publisher: str
    ) -> None:
        self._pool = pool
        self._redis = client
        self._publisher = publisher
        self._epoch = layout.epoch_key(publisher)
        self._queues = {subscription.name: subscription.queue for subscription in subscriptions}
        self._policies = policies(subscriptions)
        self._silent_since: dict[Holder, float] = {}

    def reconcile(self) -> None:
        """Do the three checks once."""
        if self._beat_and_see_empty():
            self._expire_all()
            self._redis.set(self._epoch, "1", ex=EPOCH_SECONDS)
        for worker, queue in self._dead_workers():
            self._take_back(worker, queue)
        while self._check_leases() == LIMIT:
            pass

    def _beat_and_see_empty(self) -> bool:
        """Send this relay's heartbeat, for its health check, and return whether Redis was wiped."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(layout.relay_key(socket.gethostname()), "1", ex=layout.HEARTBEAT_SECONDS)
        pipeline.expire(self._epoch, EPOCH_SECONDS)
        return not pipeline.execute()[1]

    def _expire_all(self) -> None:
        with self._pool.connection() as connection:
            expired = connection.execute(deliveries.EXPIRE_ALL).rowcount
        if expired:
            log.warning("redis.found_empty", deliveries_in_flight=expired)

    def _dead_workers(self) -> list[Holder]:
        """List the holders that have been silent for SILENCE seconds.

        Only of this relay's own queues: a newer relay may have a queue that this one doesn't know.
        """
        holders = [holder for holder in self._holders() if holder[1] in self._queues.values()]
        pipeline = self._redis.pipeline(transaction=False)
        for worker, _ in holders:
            pipeline.pttl(layout.heartbeat_key(worker))
        now = time.monotonic()
        silent = [holder for holder, ttl in zip(holders, pipeline.execute(), strict=True) if not 0 < ttl <= _beat()]
        self._silent_since = {holder: self._silent_since.get(holder, now) for holder in silent}
        return [holder for holder, since in self._silent_since.items() if now - since >= SILENCE]

    def _holders(self) -> list[Holder]:
        """List the registered holders, and remove members of the set that can't be one."""
        raws = mending(self._redis, [layout.WORKERS], lambda: self._redis.smembers(layout.WORKERS))
        parts = {raw: str(raw, errors="replace").rpartition("/") for raw in sorted(raws) if isinstance(raw, bytes)}
        foreign = [raw for raw, (worker, _, queue) in parts.items() if not worker or not queue or UNREADABLE in worker]
        if foreign:
            self._redis.srem(layout.WORKERS, *foreign)
            log.error("redis.members_removed", key=layout.WORKERS, count=len(foreign), hint=FOREIGN)
        return [(worker, queue) for raw, (worker, _, queue) in parts.items() if raw not in foreign]

    def _take_back(self, worker: str, queue: str) -> None:
        """Make due what a dead worker held. A relay that dies in here loses nothing: the leases still run out."""
        taken, vanished, forgotten = self._taken(worker, queue)
        if not (taken or vanished or forgotten):  # it is alive, or holds messages of other publishers alone
            return
        held = [reference for data in taken for reference in message.references(data)]
        if vanished:
            look_soon(self._pool, [name for name, queue_of_name in self._queues.items() if queue_of_name == queue])
        with self._pool.connection() as connection:
            parameters = deliveries.triples(held) | self._policies | counting()
            log_dead(connection.execute(dispatch_ends.CRASHED, parameters).fetchall())
            connection.execute(deliveries.WAKE)
        log.warning("worker.found_dead", worker=worker, queue=queue, deliveries_taken_back=len(held))

    def _taken(self, worker: str, queue: str) -> tuple[list[bytes], int, int]:
        """Return what `_TAKE_BACK` does; if the worker is alive, as if it held nothing."""
        keys = [
            layout.heartbeat_key(worker),
            layout.unacked_key(worker, queue),
            layout.messages_key(queue),
            layout.WORKERS,
            layout.DRAMATIQ_HEARTBEATS,
        ]
        taken = _TAKE_BACK.run(self._redis, keys, self._publisher, layout.holder(worker, queue), worker, _beat())
        return taken or ([], 0, 0)

    def _check_leases(self) -> int:
        with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(Leased))
            parameters = {"names": list(self._queues), "limit": LIMIT, "lease": LEASE}
            expired = cursor.execute(deliveries.EXTEND, parameters).fetchall()
        lose(self._pool, self._missing(expired))
        return len(expired)

    def _missing(self, leased: Iterable[Leased]) -> list[Leased]:
        """Return the deliveries whose message neither its queue nor a worker has."""
        by_queue = groupby(sorted(leased, key=self._queue_of), key=self._queue_of)
        return [delivery for queue, group in by_queue for delivery in self._missing_from(queue, list(group))]

    def _missing_from(self, queue: str, leased: list[Leased]) -> list[Leased]:
        message_ids = {delivery.message_id for delivery in leased}
        missing = look(self._redis, self._publisher, queue, expected=message_ids).missing
        return [delivery for delivery in leased if delivery.message_id in missing]

    def _queue_of(self, leased: Leased) -> str:
        return self._queues[leased.subscription]


def _beat() -> int:
    """Return how many milliseconds a heartbeat lasts. Another program has made a key that lasts longer."""
    return 1000 * layout.HEARTBEAT_SECONDS
