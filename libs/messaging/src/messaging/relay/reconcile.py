"""Find what got lost between PostgreSQL and a worker, and make it due again.

Three ways to lose a message, three looks:
- Redis was wiped: the publisher's epoch is gone, so every lease is looked at now.
- A worker died holding messages: no heartbeat for as long as this relay has watched it; take the messages from
  it, and count a crash for what it had begun. (Watched, because no heart beats while Redis itself is away.)
- Anything else (a relay that died between claim and enqueue, a receipt that never came): the lease runs out; if
  the message isn't there any more (`messaging.relay.lost`), it was lost. If it is, it just waits, and a long backlog
  causes no storm of duplicates.
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
from messaging.relay import deliveries
from messaging.relay.apply import log_dead, policies
from messaging.relay.dispatch import LEASE
from messaging.relay.lost import look, look_soon, lose
from messaging.relay.publishers import EPOCH_SECONDS, OURS
from messaging.wire import layout, message
from messaging.wire.script import FOREIGN, Script, mending

LIMIT = 500
SILENCE = 4.0
"""Seconds without a heartbeat, seen by this relay, after which a worker is dead. One that only lost its connection is
back within three."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

UNREADABLE = "\ufffd"

_TAKE_BACK = Script(
    OURS
    + """
-- Take from a dead worker what it holds of a queue and is ours, and forget the worker when it holds nothing more:
-- PostgreSQL decides what becomes of each delivery. KEYS: its heartbeat, its unacknowledged ids, the queue's messages,
-- the workers, Dramatiq's heartbeats. ARGV: the publisher, the worker's name among the workers, its id, how many
-- milliseconds a beat lasts at most.
-- Asking for the heartbeat again, here, makes it impossible to rob a worker that has just woken up: then it is false.
-- Otherwise it returns the messages, how many ids had none because their data has vanished, and whether the worker is
-- forgotten.
local left = redis.call('PTTL', KEYS[1])
if left > 0 and left <= tonumber(ARGV[4]) then return false end
local ids = redis.call('SMEMBERS', KEYS[2])
redis.call('HLEN', KEYS[3])
redis.call('SCARD', KEYS[4])
redis.call('ZCARD', KEYS[5])
local found, vanished = {}, 0
for _, id in ipairs(ids) do
    if ours(id) then
        local data = redis.call('HGET', KEYS[3], id)
        if data then found[#found + 1] = data else vanished = vanished + 1 end
        redis.call('HDEL', KEYS[3], id)
        redis.call('SREM', KEYS[2], id)
    end
end
if redis.call('EXISTS', KEYS[2]) == 1 then return {found, vanished, 0} end
redis.call('SREM', KEYS[4], ARGV[2])
redis.call('ZREM', KEYS[5], ARGV[3])
redis.call('DEL', KEYS[1])
return {found, vanished, 1}
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
    """Looks after what is the publisher's in the queues of the given subscriptions."""

    def __init__(
        self, pool: Pool, client: redis.Redis, subscriptions: Sequence[Subscription[EventData]], publisher: str
    ) -> None:
        self._pool = pool
        self._redis = client
        self._publisher = publisher
        self._epoch = layout.epoch_key(publisher)
        self._queues = {each.name: each.queue for each in subscriptions}
        self._policies = policies(subscriptions)
        self._silent_since: dict[Holder, float] = {}

    def reconcile(self) -> None:
        """Look once, all three ways."""
        if self._beat_and_see_empty():
            self._expire_all()
            self._redis.set(self._epoch, "1", ex=EPOCH_SECONDS)
        for worker, queue in self._dead_workers():
            self._take_back(worker, queue)
        while self._check_leases() == LIMIT:
            pass

    def _beat_and_see_empty(self) -> bool:
        """Show that this relay lives, for its health check, and return whether Redis was wiped."""
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
        """List who has been silent for long. Of our queues alone: a newer relay may know a queue that we don't."""
        workers = [each for each in self._holders() if each[1] in self._queues.values()]
        pipeline = self._redis.pipeline(transaction=False)
        for worker, _ in workers:
            pipeline.pttl(layout.heartbeat_key(worker))
        now = time.monotonic()
        silent = [each for each, left in zip(workers, pipeline.execute(), strict=True) if not 0 < left <= _beat()]
        self._silent_since = {each: self._silent_since.get(each, now) for each in silent}
        return [each for each, since in self._silent_since.items() if now - since >= SILENCE]

    def _holders(self) -> list[Holder]:
        """List the workers that are registered, and remove what can't be one."""
        found = mending(self._redis, [layout.WORKERS], lambda: self._redis.smembers(layout.WORKERS))
        named = {raw: str(raw, errors="replace").rpartition("/") for raw in sorted(found) if isinstance(raw, bytes)}
        foreign = [raw for raw, (worker, _, queue) in named.items() if not worker or not queue or UNREADABLE in worker]
        if foreign:
            self._redis.srem(layout.WORKERS, *foreign)
            log.error("redis.members_removed", key=layout.WORKERS, count=len(foreign), hint=FOREIGN)
        return [(worker, queue) for raw, (worker, _, queue) in named.items() if raw not in foreign]

    def _take_back(self, worker: str, queue: str) -> None:
        """Make due what a dead worker held of ours. A relay that dies in here loses nothing: leases still run out."""
        found, vanished, forgotten = self._taken(worker, queue)
        if not (found or vanished or forgotten):  # it is alive, or what it holds is another publisher's
            return
        held = [reference for data in found for reference in message.references(data)]
        if vanished:
            look_soon(self._pool, [name for name, its_queue in self._queues.items() if its_queue == queue])
        with self._pool.connection() as connection:
            log_dead(connection.execute(deliveries.CRASHED, deliveries.triples(held) | self._policies).fetchall())
            connection.execute(deliveries.WAKE)
        log.warning("worker.found_dead", worker=worker, queue=queue, deliveries_taken_back=len(held))

    def _taken(self, worker: str, queue: str) -> tuple[list[bytes], int, int]:
        """Take a dead worker's messages, count those whose data has vanished, and say whether it is forgotten."""
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
            given = {"names": list(self._queues), "limit": LIMIT, "lease": LEASE}
            expired = cursor.execute(deliveries.EXTEND, given).fetchall()
        lose(self._pool, self._missing(expired))
        return len(expired)

    def _missing(self, leased: Iterable[Leased]) -> list[Leased]:
        """Return those whose message is neither in its queue nor in a worker's hands."""
        by_queue = groupby(sorted(leased, key=self._queue_of), key=self._queue_of)
        return [each for queue, group in by_queue for each in self._absent(queue, list(group))]

    def _absent(self, queue: str, leased: list[Leased]) -> list[Leased]:
        missing = look(self._redis, self._publisher, queue, asked={each.message_id for each in leased}).missing
        return [each for each in leased if each.message_id in missing]

    def _queue_of(self, leased: Leased) -> str:
        return self._queues[leased.subscription]


def _beat() -> int:
    """Return for how many milliseconds a heartbeat lasts. A key that lasts longer is another program's."""
    return 1000 * layout.HEARTBEAT_SECONDS
