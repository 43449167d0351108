"""Where messages lie in Redis: Dramatiq's layout, and the few keys that Herald adds.

Dramatiq keeps each message in the hash `<namespace>:<queue>.msgs` from enqueueing until it is acknowledged,
and its id in the list `<namespace>:<queue>` or, once a worker has fetched it, in that worker's set of
unacknowledged ids. A message is there if its id is in one of these two and its data in the hash.

Redis is transport only: everything here may be wiped at any moment, and nothing is lost. So a key of a wrong type,
which only another program can have made, is deleted by the first command that meets it (`mending`).
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import redis
import structlog
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, UnixDomainSocketConnection, parse_url
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

NAMESPACE = "dramatiq"

log: structlog.stdlib.BoundLogger = structlog.get_logger("transport")

RECEIPTS = "herald:receipts"
"""Stream: what consumers report."""

EPOCH = "herald:epoch"
"""Present as long as Redis hasn't been wiped since a relay last looked."""

PROBE = "herald:probe"
"""Written, for a moment, to see whether Redis takes anything: a full one still answers."""

WORKERS = "herald:workers"
"""Set: which worker processes may hold messages, and of which queue. Each relay asks after those of its own queues."""

DRAMATIQ_HEARTBEATS = f"{NAMESPACE}:__heartbeats__"
"""Sorted set: Dramatiq's own note of workers. We only keep it from growing."""

UNACKED = f"{NAMESPACE}:__acks__"
"""How the key of a worker's unacknowledged ids of a queue begins (`unacked_key`)."""

HEARTBEAT_SECONDS = 6
"""How long one heartbeat shows that a worker process or a relay lives. Workers beat at least every four seconds."""


def queue_key(queue: str) -> str:
    """Name the list of message ids that wait in a queue."""
    return f"{NAMESPACE}:{queue}"


def messages_key(queue: str) -> str:
    """Name the hash of messages, waiting or held, of a queue."""
    return f"{NAMESPACE}:{queue}.msgs"


def unacked_key(worker: str, queue: str) -> str:
    """Name the set of message ids that a worker process has fetched and not acknowledged."""
    return f"{UNACKED}.{worker}.{queue}"


def holder(worker: str, queue: str) -> str:
    """Name a worker process in the set of those that may hold messages of a queue."""
    return f"{worker}/{queue}"


def heartbeat_key(worker: str) -> str:
    """Name the key that lives as long as the worker's heart beats: Redis' clock decides, nobody else's."""
    return f"herald:worker:{worker}"


def relay_key(host: str) -> str:
    """Name the key that lives as long as a relay of this host does its rounds."""
    return f"herald:relay:{host}"


MANY = 2**16
"""Connections of one client at most: no limit. A worker's thread holds one while it works, however many there are."""


class _Socket(UnixDomainSocketConnection):
    """A connection by a Unix socket. redis-py asks any connection that fails for its host and port, also this one."""

    host: ClassVar[str] = ""
    port: ClassVar[int] = 0


def connect(redis_url: str, *, timeout: float | None = 5.0, **options: Any) -> redis.Redis:
    """Make a client that never retries by itself: a command that may have run is the caller's to judge.

    What the URL asks for can't replace what Herald needs. `options`: more of redis-py's, for each connection.
    """
    asked: dict[str, Any] = parse_url(redis_url)  # type: ignore[no-untyped-call]  # redis-py has no types here
    if redis_url.startswith("unix:"):
        asked["connection_class"] = _Socket
    else:
        asked["socket_keepalive"] = True
    needed = {
        "socket_timeout": timeout,
        "socket_connect_timeout": 5.0,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,  # or it says who it is by CLIENT SETINFO, two round trips for each connection
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),  # and another for this
        "max_connections": MANY,
    }
    return redis.Redis.from_pool(ConnectionPool(**asked | needed | options))


def members(client: redis.Redis, key: str) -> set[str]:
    """Return the members of a set of ids."""
    found = mending(client, [key], lambda: client.smembers(key))
    return {each.decode(errors="replace") if isinstance(each, bytes) else each for each in found}


def kind(key: str) -> str:
    """Return the type, in Redis' words, that one of the keys above has."""
    if key == RECEIPTS:
        return "stream"
    if key == DRAMATIQ_HEARTBEATS:
        return "zset"
    if key == WORKERS or key.startswith(f"{UNACKED}."):
        return "set"
    if key.endswith(".msgs"):
        return "hash"
    return "list" if key.startswith(f"{NAMESPACE}:") else "string"


ResultT = TypeVar("ResultT")


def mending(client: redis.Redis, keys: Sequence[str], call: Callable[[], ResultT]) -> ResultT:
    """Call. If one of `keys` turns out to be of a wrong type, delete it, name it in the log, and call again."""
    try:
        return call()
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
        mend(client, keys)
        return call()


def is_wrong_type(error: redis.RedisError) -> bool:
    """Tell whether a command, a script or a pipeline met a key of a wrong type."""
    return "WRONGTYPE" in str(error)


def mend(client: redis.Redis, keys: Sequence[str]) -> None:
    """Delete those of our keys that are of a wrong type. What they should have held is found missing, and sent again.

    Raises:
        redis.RedisError: Redis is unreachable, or doesn't allow it; the log names the key.
    """
    for key in dict.fromkeys(keys):
        found = _MEND.run(client, [key], kind(key))
        if found:
            log.error("redis.key_deleted", key=key, found=found.decode(), expected=kind(key), hint=FOREIGN)


FOREIGN = "another program writes to this Redis; give it a database of its own"


class Script:
    """A script in Redis, called by its digest; its text is sent when Redis doesn't know it, or any more.

    It reads every key that could be of a wrong type before it writes, so that it can be run again (`mending`).
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, client: redis.Redis, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Run it now."""
        return mending(client, keys, lambda: self._run(client, keys, arguments))

    def _run(self, client: redis.Redis, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        try:
            return client.evalsha(self.sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return client.eval(self.text, len(keys), *keys, *arguments)


_MEND = Script("""
-- Delete a key if it isn't of the type ARGV[1], and return the type that it was of.
local found = redis.call('TYPE', KEYS[1]).ok
if found == 'none' or found == ARGV[1] then return false end
redis.call('DEL', KEYS[1])
return found
""")
