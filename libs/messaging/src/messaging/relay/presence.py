"""A relay's sign of life in Redis: that it runs, for how long, and what it can't do at the moment.

The key expires by Redis' clock. The set of relays keeps the name of one that died until another relay's housekeeping
removes it, so an operator sees for a while that there was one. Nothing depends on either: they are for people.
"""

import json
import threading
import time

import redis

from messaging.wire import layout
from messaging.wire.script import members, mending


class Presence:
    """What the relay process `name` of a publisher shows of itself. `client`: runs no blocking commands."""

    def __init__(self, client: redis.Redis, publisher: str, name: str) -> None:
        self.publisher = publisher
        self._redis = client
        self._member = layout.relay_member(publisher, name)
        self._key = layout.relay_process_key(self._member)
        self._began = time.monotonic()
        self._failing: dict[str, str] = {}

    def fails(self, error: str) -> None:
        """Note that the calling thread's loop can't do its work."""
        self._failing[threading.current_thread().name] = error

    def recovers(self) -> None:
        """Note that the calling thread's loop works again."""
        self._failing.pop(threading.current_thread().name, None)

    def beat(self) -> None:
        """Send a sign of life. Register, if this is the first one or Redis has forgotten the last."""
        report = json.dumps({"up_seconds": round(time.monotonic() - self._began), "failing": dict(self._failing)})

        def send() -> None:
            if self._redis.set(self._key, report, ex=layout.HEARTBEAT_SECONDS, get=True) is None:
                self._redis.sadd(layout.RELAYS, self._member)

        mending(self._redis, [layout.RELAYS, self._key], send)

    def leave(self) -> None:
        """Unregister: the relay stops in order."""
        self._redis.srem(layout.RELAYS, self._member)
        self._redis.delete(self._key)

    def forget_silent(self) -> None:
        """Remove the names of relays that were killed, and add this one's if another program has removed it."""
        self._redis.sadd(layout.RELAYS, self._member)
        for member in members(self._redis, layout.RELAYS):
            if not self._redis.exists(layout.relay_process_key(member)):
                self._redis.srem(layout.RELAYS, member)
