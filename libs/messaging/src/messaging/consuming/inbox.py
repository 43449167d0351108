"""How a worker process takes messages from a queue and sends its heartbeat: both in one script.

An idle worker blocks (`BLMOVE queue queue LEFT LEFT`: a no-op that waits until the list has an element) and takes in
the same round trip, so a message starts within a millisecond. The worker sends a heartbeat whenever the wait ends.

Redis may be wiped during the wait, or lose a key. No relay looks after a worker that isn't registered, so every
heartbeat registers the worker again.
"""

import redis

from messaging.wire import layout
from messaging.wire.script import Script, is_wrong_type
from messaging.wire.waits import Waits

WAIT_SECONDS = 4
"""An idle worker blocks for at most this long, and then sends a heartbeat."""

_TAKE = Script("""
-- Send a heartbeat, and take up to ARGV[3] messages. Returns an array of id, data, id, data. KEYS: heartbeat, workers,
-- queue, this worker's unacknowledged ids, messages. ARGV: seconds that a heartbeat lasts, the member of the workers
-- that stands for this worker and queue, the most messages to take, seconds until unacknowledged ids expire.
-- It registers the worker, and reads every key that it will change, before it takes a message: if a command fails,
-- nothing is taken. It drops an id without data, and an id that this worker has already.
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
"""A worker's unacknowledged ids expire this long after it last took a message. Normally none are left by then, except
those of a worker that Redis forgot and that then died."""

MOST = 1_000
"""The most messages to take at once: many more ids would overflow Lua's stack."""


Taken = tuple[bytes, bytes]
"""The id of a message in Redis, and its data, which any program may have written (`messaging.wire.message.read`)."""


class Inbox:
    """One queue, for one worker process. `client` runs no blocking commands; `waits` does."""

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
        """Send a heartbeat, without taking a message."""
        self.take(0)

    def take(self, room: int) -> list[Taken]:
        """Send a heartbeat, and take up to `room` messages, without waiting."""
        return _pairs(_TAKE.run(self._client, self._keys, *self._arguments(room)))

    def wait_and_take(self, room: int) -> list[Taken]:
        """Wait up to WAIT_SECONDS for a message, and take up to `room`. Sends a heartbeat too."""
        with self._waits.waiting() as may_wait:
            if not may_wait:
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
