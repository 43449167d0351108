"""What waits for a worker process in one queue, and how the process takes it and shows that it lives: one script.

An idle worker blocks (`BLMOVE queue queue LEFT LEFT`: a no-op that waits for the list to have an element) and takes in
the same round trip, so a message starts within a millisecond. Every time that it comes back it beats its heart.

Redis may be wiped during the wait, or forget a key, so every beat registers the worker again: no relay looks after a
worker that isn't registered.
"""

import redis

from messaging.wire import layout
from messaging.wire.script import Script, is_wrong_type
from messaging.wire.waits import Waits

WAIT_SECONDS = 4
"""An idle worker blocks for so long before it beats again."""

_TAKE = Script("""
-- Beat, and take up to ARGV[3] messages: an array of id, data, id, data. KEYS: heartbeat, workers, queue, this worker's
-- unacknowledged ids, messages. ARGV: how long a beat lasts, which worker and queue this is, room.
-- It registers the worker and reads what it is about to change before it takes: whatever fails, nothing is taken. An id
-- without data is dropped, and so is one that this worker has already.
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
redis.call('SADD', KEYS[2], ARGV[2])
if ARGV[3] == '0' or redis.call('LLEN', KEYS[3]) == 0 then return {} end
redis.call('SCARD', KEYS[4])
redis.call('HLEN', KEYS[5])
local ids = redis.call('LPOP', KEYS[3], ARGV[3])
local taken = {}
for i, data in ipairs(redis.call('HMGET', KEYS[5], unpack(ids))) do
    if data and redis.call('SADD', KEYS[4], ids[i]) == 1 then
        taken[#taken + 1] = ids[i]
        taken[#taken + 1] = data
    end
end
redis.call('EXPIRE', KEYS[4], ARGV[4])
return taken
""")

UNACKED_SECONDS = 7 * 86_400
"""A worker's unacknowledged ids expire so long after it last took something: some stay only where Redis forgot the
worker, and it died."""

MOST = 1_000
"""More ids than this could be too many for Lua's stack."""


Taken = tuple[bytes, bytes]
"""The id of a message in Redis, and its data, which may be anybody's (`messaging.wire.message.read`)."""


class Inbox:
    """One queue, for one worker process. `client` never waits; `waits` does."""

    def __init__(self, client: redis.Redis, waits: Waits, worker: str, queue: str) -> None:
        self._client = client
        self._waits = waits
        self._queue = layout.queue_key(queue)
        self._keys = [
            layout.heartbeat_key(worker),
            layout.WORKERS,
            self._queue,
            layout.unacked_key(worker, queue),
            layout.messages_key(queue),
        ]
        self._holder = layout.holder(worker, queue)

    def beat(self) -> None:
        """Show that this process lives, without taking anything."""
        self.take(0)

    def take(self, room: int) -> list[Taken]:
        """Beat, and take up to `room` messages."""
        return _pairs(_TAKE.run(self._client, self._keys, *self._arguments(room)))

    def wait_and_take(self, room: int) -> list[Taken]:
        """Wait for a message, and take up to `room`; nothing, after a while without one."""
        with self._waits.waiting() as wait:
            if not wait:
                return []
            pipeline = self._waits.client.pipeline(transaction=False)
            pipeline.blmove(self._queue, self._queue, WAIT_SECONDS, "LEFT", "LEFT")
            pipeline.evalsha(_TAKE.sha, len(self._keys), *self._keys, *self._arguments(room))
            try:
                return _pairs(pipeline.execute()[1])
            except redis.ResponseError as error:
                if not isinstance(error, redis.exceptions.NoScriptError) and not is_wrong_type(error):
                    raise
                return self.take(room)

    def _arguments(self, room: int) -> list[str | int]:
        return [layout.HEARTBEAT_SECONDS, self._holder, min(room, MOST), UNACKED_SECONDS]


def _pairs(taken: list[bytes]) -> list[Taken]:
    return list(zip(taken[::2], taken[1::2], strict=True))
