"""Find what a queue in Redis has lost.

A message exists if its data is in the hash and its id is in the queue's list, or if a worker has its id. Any of these
keys may vanish alone: another program may delete it, or Redis itself, if it isn't set to `noeviction`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import redis
import structlog

from messaging.process.database import Pool
from messaging.relay import deliveries, dispatch_ends
from messaging.relay.publishers import OURS
from messaging.wire import layout
from messaging.wire.script import Script

LOOK_SECONDS = 2.0
"""Leases of a queue that lost messages run out after this: receipts that are under way arrive before."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_LOOK = Script(
    OURS
    + """
-- Find what a queue has lost. KEYS: the workers, the queue, its messages. ARGV: the publisher, the prefix of keys of
-- unacknowledged ids, the queue's name, the number of expected ids, these ids, and the suspects of the last look.
-- Returns the expected ids that neither the queue nor a worker has. Of what is `ours` it also returns: how many ids
-- without data it has removed from the queue; how many messages have data; suspects, the ids of data that no list and
-- no worker has; and the data of those that were suspects already, which it has removed.
local queued, held, stored, expected = {}, {}, {}, tonumber(ARGV[4])
for _, id in ipairs(redis.call('HKEYS', KEYS[3])) do stored[id] = true end
local hollow = 0
for _, id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    if stored[id] then
        queued[id] = true
    elseif ours(id) then
        hollow = hollow + redis.call('LREM', KEYS[2], 1, id)
    end
end
for _, holder in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local worker, queue = holder:match('^(.*)/(.*)$')
    if queue == ARGV[3] then
        local unacked = ARGV[2] .. '.' .. worker .. '.' .. queue
        if redis.call('TYPE', unacked).ok == 'set' then
            for _, id in ipairs(redis.call('SMEMBERS', unacked)) do held[id] = true end
        end
    end
end
local missing, present, suspects, swept = {}, 0, {}, {}
for i = 5, 4 + expected do
    if not held[ARGV[i]] and not queued[ARGV[i]] then missing[#missing + 1] = ARGV[i] end
end
for i = 5 + expected, #ARGV do
    if stored[ARGV[i]] and not queued[ARGV[i]] and not held[ARGV[i]] and ours(ARGV[i]) then
        swept[#swept + 1] = redis.call('HGET', KEYS[3], ARGV[i])
        redis.call('HDEL', KEYS[3], ARGV[i])
        stored[ARGV[i]] = nil
    end
end
for id in pairs(stored) do
    if ours(id) then
        present = present + 1
        if not queued[id] and not held[id] then suspects[#suspects + 1] = id end
    end
end
return {missing, hollow, present, suspects, swept}
"""
)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look into one queue found. All but `missing` covers only the messages that this relay looks after.

    `missing`: the expected messages that are lost. `hollow`: how many ids in the queue had no data; they are removed.
    `present`: how many messages have data. `suspects`: ids of data that no list and no worker has. `swept`: data of
    messages that were suspects at the last look too; it is removed.
    """

    missing: set[str]
    hollow: int
    present: int
    suspects: list[bytes]
    swept: list[bytes]


def look(
    client: redis.Redis,
    publisher: str,
    queue: str,
    *,
    expected: Collection[str] = (),
    suspects: Collection[bytes] = (),
) -> Look:
    """Look for lost messages in a queue, in one atomic script.

    Args:
        client: Redis.
        publisher: the publisher whose relay looks.
        queue: the queue's name.
        expected: ids of messages that should exist.
        suspects: the suspects of the last look.
    """
    keys = [layout.WORKERS, layout.queue_key(queue), layout.messages_key(queue)]
    arguments: list[str | bytes | int] = [publisher, layout.UNACKED, queue, len(expected), *expected, *suspects]
    missing, hollow, present, suspicious, swept = _LOOK.run(client, keys, *arguments)
    return Look({message_id.decode() for message_id in missing}, hollow, present, suspicious, swept)


def look_soon(pool: Pool, names: Sequence[str]) -> None:
    """Let the leases of the subscriptions `names` run out in LOOK_SECONDS, because their queue has lost messages."""
    with pool.connection() as connection:
        connection.execute(deliveries.EXPIRE_OLD, {"names": list(names), "soon": LOOK_SECONDS})


def lose(pool: Pool, references: Iterable[deliveries.Fenced]) -> None:
    """Make deliveries due whose messages Redis has lost."""
    lost = deliveries.triples(references)
    if lost["event_ids"]:
        with pool.connection() as connection:
            count = connection.execute(dispatch_ends.DUE_AGAIN, lost | {"lost": True}).rowcount
            connection.execute(deliveries.WAKE)
        if count:
            log.warning("deliveries.found_lost", count=count)
