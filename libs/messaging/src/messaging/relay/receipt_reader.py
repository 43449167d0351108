"""How the relays of a publisher read its receipts. They share the work.

If a relay dies, another one takes over the entries that it had read. An entry is deleted from the stream when its
receipts are committed (`done`).

How long ago an entry was sent is measured by Redis' clock alone: its TIME now, less the time in the entry's id. Where
Redis refuses TIME, the time of the newest entry that was read stands for it.
"""

import time
from collections.abc import Iterable

import redis
import structlog

from messaging.wire import layout
from messaging.wire.receipt import Receipt, decode
from messaging.wire.script import FOREIGN, Script, is_wrong_type, mend

GROUP = "relay"
LAST_MILLISECOND = 2**53
"""No clock will reach this. A stream whose newest id is the last possible one takes no more entries."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_DONE = Script("""
-- Acknowledge entries and delete them, both at once: an entry that is acknowledged and not deleted would stay for ever.
-- A script, because a full Redis refuses MULTI, and so could never be emptied.
redis.call('XACK', KEYS[1], unpack(ARGV))
redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
""")

_FORGET_READERS = """
-- Remove the names of relays that have ended: those with nothing pending that were idle for ARGV[2] milliseconds. In
-- one script, because removing a name drops its pending entries. (Before Redis 7.2 a relay whose reads find nothing
-- counts as idle too. Redis adds its name again as soon as a read finds something.)
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then return 0 end -- no stream or no group yet
local removed = 0
for _, pairs in ipairs(consumers) do
    local consumer = {}
    for i = 1, #pairs, 2 do consumer[pairs[i]] = pairs[i + 1] end
    if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
        removed = removed + 1
    end
end
return removed
"""


def forget_readers(client: redis.Redis, publisher: str, *, idle: float) -> int:
    """Remove the names of relays that were idle for `idle` seconds and have nothing pending; return how many."""
    removed: int = client.eval(_FORGET_READERS, 1, layout.receipts_key(publisher), GROUP, int(idle * 1000))
    return removed


def make_sound(client: redis.Redis, publisher: str) -> None:
    """Repair the stream if another program has moved its newest id, or the relays' place in it, into the future."""
    stream = layout.receipts_key(publisher)
    try:
        newest = _number(client.xinfo_stream(stream)["last-generated-id"])
        places = [_number(group["last-delivered-id"]) for group in client.xinfo_groups(stream)]
    except redis.ResponseError:  # the stream doesn't exist, or is of a wrong type: `read` creates it
        return
    if newest[0] > LAST_MILLISECOND:
        client.delete(stream)
        log.error("redis.key_deleted", key=stream, reason="its newest id is the last possible one", hint=FOREIGN)
    elif any(place > newest for place in places):
        client.xgroup_setid(stream, GROUP, "0")
        log.error("receipts.place_lost", key=stream, hint=FOREIGN)


def _number(entry_id: bytes | str) -> tuple[int, ...]:
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    return tuple(map(int, text.split("-")))


class ReceiptReader:
    """The reader that `name` identifies in its publisher's stream. `client`: its reads may block."""

    def __init__(self, client: redis.Redis, name: str, publisher: str) -> None:
        self._client = client
        self._name = name
        self._stream = layout.receipts_key(publisher)

    def read(self, *, wait: float, limit: int = 500) -> tuple[list[bytes], list[Receipt]]:
        """Wait up to `wait` seconds for entries; return up to `limit` ids of entries, for `done`, and their receipts.

        Raises:
            redis.RedisError: Redis is unreachable.
        """
        block = int(wait * 1000) or None  # to Redis, 0 means for ever
        try:
            answer = self._client.xreadgroup(GROUP, self._name, {self._stream: ">"}, count=limit, block=block)
        except redis.ResponseError as error:
            self._make_readable(error)
            return [], []
        return self._parse(_entries(answer))

    def take_over(self, *, idle: float, limit: int = 500) -> tuple[list[bytes], list[Receipt]]:
        """Claim entries that another relay read at least `idle` seconds ago and hasn't finished; return as `read`."""
        try:
            answer = self._client.xautoclaim(
                self._stream, GROUP, self._name, min_idle_time=int(idle * 1000), count=limit
            )
        except redis.ResponseError as error:
            self._make_readable(error)
            return [], []
        return self._parse(answer[1])

    def _parse(self, entries: "Entries") -> tuple[list[bytes], list[Receipt]]:
        """Decode entries. Redis 6.2 also claims entries that MAXLEN has trimmed: those have no id and no fields."""
        ids = [entry_id for entry_id, _ in entries if entry_id is not None]
        if not ids:
            return [], []
        now, here = self._milliseconds(ids[-1]), time.monotonic()
        decoded = [
            receipt
            for entry_id, fields in entries
            if entry_id and fields
            for receipt in decode(fields.get(b"receipts", b""), here - _age(entry_id, now))
        ]
        receipts = [receipt for receipt in decoded if receipt is not None]
        if len(receipts) < len(decoded):
            log.error("receipts.dropped", count=len(decoded) - len(receipts), hint=FOREIGN)
        return ids, receipts

    def _milliseconds(self, newest: bytes) -> int:
        """Return Redis' time; that of the newest entry, if Redis refuses TIME."""
        try:
            seconds, microseconds = self._client.time()
        except redis.ResponseError:
            return _number(newest)[0]
        return int(seconds) * 1000 + int(microseconds) // 1000

    def done(self, entry_ids: Iterable[bytes]) -> None:
        """Delete entries whose receipts are committed."""
        ids = list(entry_ids)
        if ids:
            _DONE.run(self._client, [self._stream], GROUP, *ids)

    def _make_readable(self, error: redis.ResponseError) -> None:
        """Create the stream and its group again, if `error` says that they vanished or are of a wrong type."""
        if is_wrong_type(error):
            mend(self._client, [self._stream])
        elif not str(error).startswith(("NOGROUP", "UNBLOCKED")):
            raise error
        self._create_group()

    def _create_group(self) -> None:
        try:
            self._client.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


Entries = list[tuple[bytes | None, dict[bytes, bytes] | None]]


def _entries(answer: object) -> Entries:
    """Return the one stream's entries. The answer is a list of pairs in RESP2, and a dict in RESP3."""
    if not answer:
        return []
    streams = list(answer.values()) if isinstance(answer, dict) else [entries for _, entries in answer]  # type: ignore[attr-defined]  # redis-py types this as Any
    entries = streams[0]
    return entries[0] if entries and isinstance(entries[0], list) else entries


def _age(entry_id: bytes, now: int) -> float:
    """Return how many seconds ago an entry was sent. Redis' clock may have been set back meanwhile."""
    return max(0, now - _number(entry_id)[0]) / 1000
