"""Can relays and workers use Redis as they need it?"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import redis

from messaging.wire import layout
from messaging.wire.client import connect
from messaging.wire.receipt import describe
from users_api import PUBLISHER
from users_api.herald.doctor.finding import Finding
from users_api.herald.output import size

TIMEOUT = 3.0
OLDEST = (6, 2)
FULL = 0.9

RIGHTS = 'Give its user the rights of docs/operating.md: "Redis has users of its own (ACL)".'

Command = Callable[[redis.Redis], object]

NEEDED: Mapping[str, Command] = {
    "SET": lambda client: client.set(f"{layout.PROBE}:doctor", "1", px=1000),
    "DEL": lambda client: client.delete(f"{layout.PROBE}:doctor"),
    "EVAL": lambda client: client.eval("return 1", 1, layout.PROBE),
    "XLEN": lambda client: client.xlen(layout.receipts_key(PUBLISHER)),
    "SMEMBERS": lambda client: client.smembers(layout.WORKERS),
    "LLEN": lambda client: client.llen(layout.queue_key("notifier")),
    "INFO": lambda client: client.info("server"),
    "TIME": lambda client: client.time(),
}
"""Commands that relays and workers use, on keys as theirs, and that change nothing."""


def check(url: str | None) -> Iterator[Finding]:
    """Connect and look."""
    if url is None:
        yield Finding("redis", "look", "REDIS_URL isn't set here", "Set it, that this can look into Redis.")
        return
    client = connect(url, timeout=TIMEOUT)
    try:
        client.ping()
        yield _version(client)
        yield _permissions(client)
        yield from _memory(client)
    except redis.RedisError as error:
        yield Finding("redis", "wrong", describe(error), "Start Redis, or correct REDIS_URL. Effects wait meanwhile.")
    finally:
        client.close()


def _version(client: redis.Redis) -> Finding:
    version = str(_info(client, "server").get("redis_version", ""))
    if version and tuple(map(int, version.split(".")[:2])) < OLDEST:
        return Finding("redis", "wrong", version, "Herald needs Redis 6.2 or newer.")
    return Finding("redis", "ok", f"{version or 'of an unknown version'}, reachable")


def _permissions(client: redis.Redis) -> Finding:
    refused, faults = [], []
    for name, command in NEEDED.items():
        try:
            command(client)
        except redis.exceptions.NoPermissionError:
            refused.append(name)
        except redis.ResponseError as error:
            faults.append(f"{name}: {describe(error)}")
    if refused:
        return Finding("redis rights", "wrong", f"refused: {', '.join(refused)}", RIGHTS)
    if faults:
        return Finding("redis rights", "wrong", "; ".join(faults), "Free memory, or correct what the error names.")
    return Finding("redis rights", "ok", f"{', '.join(NEEDED)} work")


def _memory(client: redis.Redis) -> Iterator[Finding]:
    info = _info(client, "memory")
    policy, used, most = info.get("maxmemory_policy"), info.get("used_memory"), info.get("maxmemory")
    if policy is None:
        yield Finding("redis memory", "look", "it doesn't say (INFO is refused)", RIGHTS)
        return
    if policy == "noeviction":
        yield Finding("redis policy", "ok", policy)
    else:
        yield Finding("redis policy", "wrong", f"{policy}: it may delete messages", "maxmemory-policy noeviction")
    if most and used >= FULL * most:
        yield Finding(
            "redis memory", "wrong", f"{size(used)} of {size(most)}", "Raise maxmemory, or remove other keys."
        )
    else:
        yield Finding("redis memory", "ok", f"{size(used)} of {size(most) if most else 'what the host has'}")


def _info(client: redis.Redis, section: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = client.info(section)
    except redis.ResponseError:
        return {}
    return found
