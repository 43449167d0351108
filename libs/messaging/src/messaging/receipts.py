"""Receipts: what consumers report back, and how the relay reads them.

Receipts travel in a Redis stream and may be lost, doubled or late. Nothing depends on one arriving: the lease
of the delivery runs out, it is enqueued again, and the consumer's own idempotency answers.

The stream holds what no relay has applied yet: an entry goes when its receipts are committed (`done`), one that a relay
died with is taken over first, and whatever else happens `report` keeps no more than about a million.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing

import redis
from redis.connection import Connection

from messaging import transport
from messaging.receipt_format import OUTCOMES, Outcome, Receipt, clean, decode, describe, encode

__all__ = [
    "OUTCOMES",
    "Outcome",
    "Receipt",
    "ReceiptReader",
    "ReceiptWriter",
    "clean",
    "describe",
    "forget_readers",
    "report",
]

GROUP = "relay"
MAX_UNREAD = 1_000_000

_DONE = transport.Script("""
-- Acknowledge entries and delete them: both, or an acknowledged one would stay for ever. A script, because a full Redis
-- refuses MULTI, and would never get rid of what fills it.
redis.call('XACK', KEYS[1], unpack(ARGV))
redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
""")

_FORGET_READERS = """
-- Remove the names of relays that are no more: with nothing pending, and silent for ARGV[2] milliseconds. All in here,
-- because a name takes with it what it has pending. (Before Redis 7.2 a relay that only finds nothing counts as silent
-- too. Redis makes its name again as soon as it finds something.)
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


def report(client: redis.Redis, receipts: Sequence[Receipt]) -> None:
    """Send receipts as one entry of the stream.

    Raises:
        redis.RedisError: Redis is not to be had. The caller may go on: receipts can be lost.
    """
    with closing(ReceiptWriter(client)) as writer:
        writer.write(receipts)
        writer.confirm()


def forget_readers(client: redis.Redis, *, idle: float) -> int:
    """Remove the names of relays that have read nothing for `idle` seconds and owe nothing; return how many."""
    removed: int = client.eval(_FORGET_READERS, 1, transport.RECEIPTS, GROUP, int(idle * 1000))
    return removed


class ReceiptWriter:
    """Sends an entry; Redis' word on it is waited for when it is asked for (`confirm`), before the next is sent.

    So whoever says that he begins can begin at once: it is on its way, even if he dies the next moment. `close` it.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._connection: Connection | None = None

    def write(self, receipts: Sequence[Receipt]) -> None:
        """Send receipts as one entry.

        Raises:
            redis.RedisError: Redis is not to be had. The caller may go on: receipts can be lost.
        """
        self._connection = self._pool.get_connection()
        entry = ("XADD", transport.RECEIPTS, "MAXLEN", "~", MAX_UNREAD, "*", "receipts", encode(receipts))
        try:
            self._connection.send_command(*entry)  # type: ignore[no-untyped-call]  # redis-py has no type for it
        except BaseException:
            self.close()
            raise

    def confirm(self) -> None:
        """Wait until what was written is there.

        Raises:
            redis.RedisError: it isn't.
        """
        if self._connection:
            try:
                self._connection.read_response()
            except redis.ResponseError:
                self._give_back()
                raise
            except BaseException:
                self.close()
                raise
            self._give_back()

    def close(self) -> None:
        """Drop a connection on which an answer may still come: nobody would expect it there."""
        if self._connection:
            self._connection.disconnect()  # type: ignore[no-untyped-call]  # as above
            self._give_back()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            self._pool.release(connection)


class ReceiptReader:
    """One relay's place in the stream. Several relays share the work; what one leaves unread another takes over."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._client = client
        self._name = name

    def read(self, *, wait: float, limit: int = 500) -> tuple[list[bytes], list[Receipt]]:
        """Wait up to `wait` seconds for receipts; return the entries' ids, to be done with, and what they hold."""
        block = int(wait * 1000) or None  # to Redis, 0 is for ever
        try:
            found = self._client.xreadgroup(GROUP, self._name, {transport.RECEIPTS: ">"}, count=limit, block=block)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self._create_group()
            return [], []
        return _parse(_entries(found))

    def take_over(self, *, idle: float, limit: int = 500) -> tuple[list[bytes], list[Receipt]]:
        """Claim receipts that another relay read at least `idle` seconds ago and never finished with."""
        try:
            found = self._client.xautoclaim(
                transport.RECEIPTS, GROUP, self._name, min_idle_time=int(idle * 1000), count=limit
            )
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            return [], []
        return _parse(found[1])

    def done(self, entry_ids: Iterable[bytes]) -> None:
        """Forget entries whose receipts are committed."""
        ids = list(entry_ids)
        if ids:
            _DONE.run(self._client, [transport.RECEIPTS], GROUP, *ids)

    def _create_group(self) -> None:
        try:
            self._client.xgroup_create(transport.RECEIPTS, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


Entries = list[tuple[bytes | None, dict[bytes, bytes] | None]]


def _entries(found: object) -> Entries:
    """Find the one stream's entries in the answer, a list of pairs in RESP2 and a dict in RESP3."""
    if not found:
        return []
    streams = list(found.values()) if isinstance(found, dict) else [entries for _, entries in found]  # type: ignore[attr-defined]  # redis-py types this as Any
    entries = streams[0]
    return entries[0] if entries and isinstance(entries[0], list) else entries


def _parse(entries: Entries) -> tuple[list[bytes], list[Receipt]]:
    """Read entries. Redis 6.2 claims even what the stream has lost to its limit: that is nothing, without an id."""
    ids = [entry_id for entry_id, _ in entries if entry_id is not None]
    return ids, [receipt for _, fields in entries if fields for receipt in decode(fields.get(b"receipts", b""))]
