"""Commands and scripts that repair Redis: a key of a wrong type is deleted by the first command that meets it.

Redis is transport only. Everything in it may be wiped at any moment, and nothing is lost. So a key of a wrong type,
which only another program can have made, is deleted, and what it should have held is found missing and sent again.
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


def members(client: redis.Redis, key: str) -> set[str]:
    """Return the members of a set of ids."""
    found = mending(client, [key], lambda: client.smembers(key))
    return {each.decode(errors="replace") if isinstance(each, bytes) else each for each in found}
