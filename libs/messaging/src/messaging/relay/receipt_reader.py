"""How the relays of a publisher read its receipts. They share the work.

What a relay had read when it died another one takes over. An entry of the stream goes when its receipts are committed
(`done`).
"""

from collections.abc import Iterable

import redis
import structlog

from messaging.wire import layout
from messaging.wire.receipts import Receipt, decode
from messaging.wire.script import FOREIGN, Script, is_wrong_type, mend

GROUP = "relay"
LAST_MILLISECOND = 2**53
"""No clock will be there. After an id of the last possible one the stream takes no more."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_DONE = Script("""
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


def forget_readers(client: redis.Redis, publisher: str, *, idle: float) -> int:
    """Remove the names of relays that have read nothing for `idle` seconds and owe nothing; return how many."""
    removed: int = client.eval(_FORGET_READERS, 1, layout.receipts_key(publisher), GROUP, int(idle * 1000))
    return removed


def make_sound(client: redis.Redis, publisher: str) -> None:
    """Let receipts be read again if another program has moved the stream, or our place in it, into the future."""
    stream = layout.receipts_key(publisher)
    try:
        newest = _number(client.xinfo_stream(stream)["last-generated-id"])
        places = [_number(each["last-delivered-id"]) for each in client.xinfo_groups(stream)]
    except redis.ResponseError:  # there is none, or it is of a wrong type: `read` makes it
        return
    if newest[0] > LAST_MILLISECOND:
        client.delete(stream)
        log.error("redis.key_deleted", key=stream, reason="it has no more ids", hint=FOREIGN)
    elif any(place > newest for place in places):
        client.xgroup_setid(stream, GROUP, "0")
        log.error("receipts.place_lost", key=stream, hint=FOREIGN)


def _number(entry_id: bytes | str) -> tuple[int, ...]:
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    return tuple(map(int, text.split("-")))


class ReceiptReader:
    """The place of a relay called `name` in its publisher's stream. `client`: for reading, which may wait."""

    def __init__(self, client: redis.Redis, name: str, publisher: str) -> None:
        self._client = client
        self._name = name
        self._stream = layout.receipts_key(publisher)

    def read(self, *, wait: float, limit: int = 500) -> tuple[list[bytes], list[Receipt]]:
        """Wait up to `wait` seconds for receipts; return the entries' ids, to be done with, and what they hold."""
        block = int(wait * 1000) or None  # to Redis, 0 is for ever
        try:
            found = self._client.xreadgroup(GROUP, self._name, {self._stream: ">"}, count=limit, block=block)
        except redis.ResponseError as error:
            self._make_readable(error)
            return [], []
        return _parse(_entries(found))

    def take_over(self, *, idle: float, limit: int = 500) -> tuple[list[bytes], list[Receipt]]:
        """Claim receipts that another relay read at least `idle` seconds ago and never finished with."""
        try:
            found = self._client.xautoclaim(
                self._stream, GROUP, self._name, min_idle_time=int(idle * 1000), count=limit
            )
        except redis.ResponseError as error:
            self._make_readable(error)
            return [], []
        return _parse(found[1])

    def done(self, entry_ids: Iterable[bytes]) -> None:
        """Forget entries whose receipts are committed."""
        ids = list(entry_ids)
        if ids:
            _DONE.run(self._client, [self._stream], GROUP, *ids)

    def _make_readable(self, error: redis.ResponseError) -> None:
        """Make the stream and its group anew, if that is what is wrong: it vanished, or something else has its name."""
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
    found = [each for _, fields in entries if fields for each in decode(fields.get(b"receipts", b""))]
    receipts = [each for each in found if each is not None]
    if len(receipts) < len(found):
        log.error("receipts.dropped", count=len(found) - len(receipts), hint=FOREIGN)
    return ids, receipts
