"""Commands and scripts that repair Redis: the first command that meets a key of a wrong type deletes the key.

Redis is transport only. Everything in it may be wiped at any moment, and nothing is lost. A key of a wrong type can
only come from another program. It is deleted; reconciliation finds the messages that it should have held missing, and
the relay enqueues them again.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
import structlog

from messaging.wire.layout import kind

log: structlog.stdlib.BoundLogger = structlog.get_logger("redis")

FOREIGN = "another program writes to this Redis; give it a database of its own"

ResultT = TypeVar("ResultT")


def mending(client: redis.Redis, keys: Sequence[str], call: Callable[[], ResultT]) -> ResultT:
    """Call `call`. If one of `keys` turns out to be of a wrong type, delete that key, log its name, and call again."""
    try:
        return call()
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
        mend(client, keys)
        return call()


def is_wrong_type(error: redis.RedisError) -> bool:
    """Return whether a command, a script or a pipeline met a key of a wrong type."""
    return "WRONGTYPE" in str(error)


def mend(client: redis.Redis, keys: Sequence[str]) -> None:
    """Delete those of `keys`, all of them Herald's, that are of a wrong type, and log their names.

    Raises:
        redis.RedisError: Redis is unreachable, or doesn't allow it.
    """
    for key in dict.fromkeys(keys):
        wrong_type = _MEND.run(client, [key], kind(key))
        if wrong_type:
            log.error("redis.key_deleted", key=key, found=wrong_type.decode(), expected=kind(key), hint=FOREIGN)


class Script:
    """A Lua script, called by its digest. Its text is sent only if Redis doesn't have it, or has it no longer.

    A script reads every key that could be of a wrong type before it writes any, so that `mending` can run it again.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, client: redis.Redis, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Run the script, and return its result."""
        return mending(client, keys, lambda: self._run(client, keys, arguments))

    def _run(self, client: redis.Redis, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        try:
            return client.evalsha(self.sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return client.eval(self.text, len(keys), *keys, *arguments)


_MEND = Script("""
-- Delete KEYS[1] if it exists and isn't of the type ARGV[1], and return the type that it had; otherwise return false.
local actual = redis.call('TYPE', KEYS[1]).ok
if actual == 'none' or actual == ARGV[1] then return false end
redis.call('DEL', KEYS[1])
return actual
""")


def members(client: redis.Redis, key: str) -> set[str]:
    """Return the members of a set of ids."""
    ids = mending(client, [key], lambda: client.smembers(key))
    return {raw.decode(errors="replace") if isinstance(raw, bytes) else raw for raw in ids}
