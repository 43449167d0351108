"""Find what got lost between PostgreSQL and a worker, and make it due again.

Three ways to lose a message, three looks:
- Redis was wiped: the epoch key is gone, so every lease is looked at now.
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
from messaging.wire import message, transport

LIMIT = 500
SILENCE = 4.0
"""Seconds without a heartbeat, seen by this relay, after which a worker is dead. One that only lost its connection is
back within three."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

UNREADABLE = "\ufffd"

_TAKE_BACK = transport.Script("""
-- Take a dead worker's messages of a queue, and forget them and the worker: PostgreSQL decides what becomes of each.
-- KEYS: its heartbeat, its unacknowledged ids, the queue's messages, the workers, Dramatiq's heartbeats. ARGV: its name
-- among the workers, its id, how many milliseconds a beat lasts at most.
-- Asking for the heartbeat again, here, makes it impossible to rob a worker that has just woken up: then it is false.
-- Otherwise it returns the messages, and how many ids had none: their data has vanished.
local left = redis.call('PTTL', KEYS[1])
if left > 0 and left <= tonumber(ARGV[3]) then return false end
local ids = redis.call('SMEMBERS', KEYS[2])
redis.call('HLEN', KEYS[3])
redis.call('SREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[2])
local found = {}
for _, id in ipairs(ids) do
    local data = redis.call('HGET', KEYS[3], id)
    if data then found[#found + 1] = data end
    redis.call('HDEL', KEYS[3], id)
end
redis.call('DEL', KEYS[1], KEYS[2])
return {found, #ids - #found}
""")

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
    """Looks after the queues of the given subscriptions."""

    def __init__(self, pool: Pool, client: redis.Redis, subscriptions: Sequence[Subscription[EventData]]) -> None:
        self._pool = pool
        self._redis = client
        self._queues = {each.name: each.queue for each in subscriptions}
        self._policies = policies(subscriptions)
        self._silent_since: dict[Holder, float] = {}

    def reconcile(self) -> None:
        """Look once, all three ways."""
        if self._beat_and_see_empty():
            self._expire_all()
            self._redis.set(transport.EPOCH, "1")
        for worker, queue in self._dead_workers():
            self._take_back(worker, queue)
        while self._check_leases() == LIMIT:
            pass

    def _beat_and_see_empty(self) -> bool:
        """Show that this relay lives, for its health check, and return whether Redis was wiped."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(transport.relay_key(socket.gethostname()), "1", ex=transport.HEARTBEAT_SECONDS)
        pipeline.exists(transport.EPOCH)
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
            pipeline.pttl(transport.heartbeat_key(worker))
        now = time.monotonic()
        silent = [each for each, left in zip(workers, pipeline.execute(), strict=True) if not 0 < left <= _beat()]
        self._silent_since = {each: self._silent_since.get(each, now) for each in silent}
        return [each for each, since in self._silent_since.items() if now - since >= SILENCE]

    def _holders(self) -> list[Holder]:
        """List the workers that are registered, and remove what can't be one."""
        found = transport.mending(self._redis, [transport.WORKERS], lambda: self._redis.smembers(transport.WORKERS))
        named = {raw: str(raw, errors="replace").rpartition("/") for raw in sorted(found) if isinstance(raw, bytes)}
        foreign = [raw for raw, (worker, _, queue) in named.items() if not worker or not queue or UNREADABLE in worker]
        if foreign:
            self._redis.srem(transport.WORKERS, *foreign)
            log.error("redis.members_removed", key=transport.WORKERS, count=len(foreign), hint=transport.FOREIGN)
        return [(worker, queue) for raw, (worker, _, queue) in named.items() if raw not in foreign]

    def _take_back(self, worker: str, queue: str) -> None:
        """Make due what a dead worker held of a queue. Dying in here loses nothing: the leases still run out."""
        taken = self._taken(worker, queue)
        if taken is None:
            return
        held = [reference for data in taken[0] for reference in message.references(data)]
        if taken[1]:
            look_soon(self._pool, [name for name, its_queue in self._queues.items() if its_queue == queue])
        with self._pool.connection() as connection:
            log_dead(connection.execute(deliveries.CRASHED, deliveries.triples(held) | self._policies).fetchall())
            connection.execute(deliveries.WAKE)
        log.warning("worker.found_dead", worker=worker, queue=queue, deliveries_taken_back=len(held))

    def _taken(self, worker: str, queue: str) -> tuple[list[bytes], int] | None:
        """Take a dead worker's messages, and count those whose data has vanished; None, if it is alive."""
        keys = [
            transport.heartbeat_key(worker),
            transport.unacked_key(worker, queue),
            transport.messages_key(queue),
            transport.WORKERS,
            transport.DRAMATIQ_HEARTBEATS,
        ]
        taken = _TAKE_BACK.run(self._redis, keys, transport.holder(worker, queue), worker, _beat())
        return None if taken is None else (taken[0], taken[1])

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
        missing = look(self._redis, queue, asked={each.message_id for each in leased}).missing
        return [each for each in leased if each.message_id in missing]

    def _queue_of(self, leased: Leased) -> str:
        return self._queues[leased.subscription]


def _beat() -> int:
    """Return for how many milliseconds a heartbeat lasts. A key that lasts longer is another program's."""
    return 1000 * transport.HEARTBEAT_SECONDS
