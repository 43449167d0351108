"""What waits for a worker process in one queue, and how the process takes it and shows that it lives: one script.

An idle worker blocks (`BLMOVE queue queue LEFT LEFT`: a no-op that waits for the list to have an element) and takes in
the same round trip, so a message starts within a millisecond. Every time that it comes back it beats its heart.

Redis may be wiped during the wait, so the script says again who this is when its last beat is gone, or when it takes
something: no relay asks after a worker that it doesn't know, and what such a one holds when it dies would look held for
ever.
"""

import redis

from messaging import transport
from messaging.transport import Script
from messaging.waits import Waits

WAIT_SECONDS = 4
"""An idle worker blocks for so long before it beats again."""

_TAKE = Script("""
-- Beat, and take up to ARGV[3] messages. KEYS: heartbeat, workers, queue, this worker's unacknowledged ids, messages.
-- ARGV: how long a beat lasts, which worker and queue this is, room.
local known = redis.call('SET', KEYS[1], '1', 'EX', ARGV[1], 'GET')
local ids = ARGV[3] ~= '0' and redis.call('LPOP', KEYS[3], ARGV[3])
if ids or not known then redis.call('SADD', KEYS[2], ARGV[2]) end
if not ids then return {} end
redis.call('SADD', KEYS[4], unpack(ids))
return redis.call('HMGET', KEYS[5], unpack(ids))
""")

MOST = 1_000
"""More ids than this could be too many for Lua's stack."""


class Inbox:
    """One queue, for one worker process. `client` never waits; `waits` does."""

    def __init__(self, client: redis.Redis, waits: Waits, worker: str, queue: str) -> None:
        self._client = client
        self._waits = waits
        self._queue = transport.queue_key(queue)
        self._keys = [
            transport.heartbeat_key(worker),
            transport.WORKERS,
            self._queue,
            transport.unacked_key(worker, queue),
            transport.messages_key(queue),
        ]
        self._holder = transport.holder(worker, queue)

    def beat(self) -> None:
        """Show that this process lives, without taking anything."""
        self.take(0)

    def take(self, room: int) -> list[bytes]:
        """Beat, and take up to `room` messages."""
        return _there(_TAKE.run(self._client, self._keys, *self._arguments(room)))

    def wait_and_take(self, room: int) -> list[bytes]:
        """Wait for a message, and take up to `room`; nothing, after a while without one."""
        with self._waits.waiting() as wait:
            if not wait:
                return []
            pipeline = self._waits.client.pipeline(transaction=False)
            pipeline.blmove(self._queue, self._queue, WAIT_SECONDS, "LEFT", "LEFT")
            pipeline.evalsha(_TAKE.sha, len(self._keys), *self._keys, *self._arguments(room))
            try:
                return _there(pipeline.execute()[1])
            except redis.exceptions.NoScriptError:
                return self.take(room)

    def _arguments(self, room: int) -> list[str | int]:
        return [transport.HEARTBEAT_SECONDS, self._holder, min(room, MOST)]


def _there(messages: list[bytes | None]) -> list[bytes]:
    return [data for data in messages if data is not None]
