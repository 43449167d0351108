"""What a queue in Redis has lost.

A message is there if its data is in the hash and its id in the queue's list, or if a worker has its id. Any of these
keys may vanish alone: another program deletes it, or a Redis that isn't set to `noeviction` does.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import redis
import structlog

from messaging.process.database import Pool
from messaging.relay import deliveries
from messaging.wire import transport

LOOK_SECONDS = 2.0
"""Receipts that are under way come first."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_LOOK = transport.Script("""
-- What of a queue is lost? KEYS: the workers, the queue, its messages. ARGV: how keys of unacknowledged ids begin, the
-- queue's name, how many ids are asked for, these, and the suspects of the last look.
-- Returns the ids asked for that are neither in the queue nor in a worker's hands; how many ids without data it has
-- removed from the queue; suspects, the ids of data that nobody has; and the data of those that were suspects already,
-- which it has removed.
local queued, held, stored, asked = {}, {}, {}, tonumber(ARGV[3])
for _, id in ipairs(redis.call('HKEYS', KEYS[3])) do stored[id] = true end
local hollow = 0
for _, id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    if stored[id] then queued[id] = true else hollow = hollow + redis.call('LREM', KEYS[2], 1, id) end
end
for _, holder in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local worker, queue = holder:match('^(.*)/(.*)$')
    if queue == ARGV[2] then
        local unacked = ARGV[1] .. '.' .. worker .. '.' .. queue
        if redis.call('TYPE', unacked).ok == 'set' then
            for _, id in ipairs(redis.call('SMEMBERS', unacked)) do held[id] = true end
        end
    end
end
local missing, suspects, swept = {}, {}, {}
for i = 4, 3 + asked do
    if not held[ARGV[i]] and not queued[ARGV[i]] then missing[#missing + 1] = ARGV[i] end
end
for i = 4 + asked, #ARGV do
    if stored[ARGV[i]] and not queued[ARGV[i]] and not held[ARGV[i]] then
        swept[#swept + 1] = redis.call('HGET', KEYS[3], ARGV[i])
        redis.call('HDEL', KEYS[3], ARGV[i])
        stored[ARGV[i]] = nil
    end
end
for id in pairs(stored) do
    if not queued[id] and not held[id] then suspects[#suspects + 1] = id end
end
return {missing, hollow, suspects, swept}
""")


@dataclass(frozen=True, slots=True)
class Look:
    """What a look into one queue found.

    `missing`: the messages asked for that are lost. `hollow`: how many ids in the queue had no data; they are removed.
    `suspects`: ids of data that nobody has. `swept`: data that nobody had at the last look either; it is removed.
    """

    missing: set[str]
    hollow: int
    suspects: list[bytes]
    swept: list[bytes]


def look(client: redis.Redis, queue: str, asked: Collection[str] = (), suspects: Collection[bytes] = ()) -> Look:
    """Look for messages in a queue, all at one moment.

    Args:
        client: Redis.
        queue: the queue's name.
        asked: ids of messages that should be there.
        suspects: what the last look called so.
    """
    keys = [transport.WORKERS, transport.queue_key(queue), transport.messages_key(queue)]
    missing, hollow, left, swept = _LOOK.run(client, keys, transport.UNACKED, queue, len(asked), *asked, *suspects)
    return Look({each.decode() for each in missing}, hollow, left, swept)


def look_soon(pool: Pool, names: Sequence[str]) -> None:
    """Have the leases of these subscriptions looked at in LOOK_SECONDS: their queue has lost messages."""
    with pool.connection() as connection:
        connection.execute(deliveries.EXPIRE_OLD, {"names": list(names), "soon": LOOK_SECONDS})


def lose(pool: Pool, references: Iterable[deliveries.Fenced]) -> None:
    """Make due again what Redis has lost."""
    lost = deliveries.triples(references)
    if lost["event_ids"]:
        with pool.connection() as connection:
            count = connection.execute(deliveries.DUE_AGAIN, lost).rowcount
            connection.execute(deliveries.WAKE)
        if count:
            log.warning("deliveries.found_lost", count=count)
