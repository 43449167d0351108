"""What is in Redis: queues, workers, relays, memory. `GET /status` and the console's overview show it.

The API uses Redis for nothing else, and these pages work without it. redis-py is imported at the first look; its memory
isn't spent before. A look takes two round trips. What Redis refuses to say (INFO to a user without that right, a key of
a wrong type) is left out.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from contracts import SUBSCRIPTIONS
from messaging.wire import layout
from users_api import PUBLISHER
from users_api.status.schemas import QueueStatus, RedisStatus, RelayStatus, WorkerStatus

if TYPE_CHECKING:
    import redis

TIMEOUT = 0.5
"""Seconds to connect, and for a reply. A Redis that takes longer counts as unreachable."""

NOT_SET = "REDIS_URL isn't set for users-api"


class Transport:
    """Redis at `url`; None, if users-api isn't told where it is."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._client: redis.Redis | None = None

    async def status(self) -> RedisStatus:
        """Look once. If that isn't possible, `fault` says why."""
        return await asyncio.to_thread(self.look)

    def look(self) -> RedisStatus:
        """Do what `status` does, and block meanwhile."""
        if self._url is None:
            return RedisStatus(fault=NOT_SET)
        import redis

        from messaging.wire.client import connect

        if self._client is None:
            self._client = connect(self._url, timeout=TIMEOUT)
        try:
            return _look(self._client)
        except (redis.RedisError, OSError) as error:
            return RedisStatus(fault=f"Redis is unreachable: {error}")

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()


def _look(client: "redis.Redis") -> RedisStatus:
    queues = list(dict.fromkeys(subscription.queue for subscription in SUBSCRIPTIONS))
    pipeline = client.pipeline(transaction=False)
    pipeline.info()
    pipeline.xlen(layout.receipts_key(PUBLISHER))
    pipeline.smembers(layout.WORKERS)
    pipeline.smembers(layout.RELAYS)
    for queue in queues:
        pipeline.llen(layout.queue_key(queue))
        pipeline.hlen(layout.messages_key(queue))
    info, receipts, workers, relays, *lengths = _answers(pipeline)
    info = info or {}
    pairs = zip(queues, lengths[::2], lengths[1::2], strict=True)
    return RedisStatus(
        version=info.get("redis_version"),
        used_bytes=info.get("used_memory"),
        max_bytes=info.get("maxmemory"),
        policy=info.get("maxmemory_policy"),
        receipts=receipts,
        queues=[QueueStatus(queue=name, waiting=waiting or 0, messages=held or 0) for name, waiting, held in pairs],
        workers=_workers(client, _texts(workers)),
        relays=_relays(client, _texts(relays)),
    )


def _workers(client: "redis.Redis", holders: Iterable[str]) -> list[WorkerStatus]:
    """Return the worker processes that are registered, and what each holds."""
    pairs = [(worker, queue) for worker, _, queue in (holder.rpartition("/") for holder in holders)]
    pipeline = client.pipeline(transaction=False)
    for worker, queue in pairs:
        pipeline.exists(layout.heartbeat_key(worker))
        pipeline.scard(layout.unacked_key(worker, queue))
    answers = _answers(pipeline)
    found: dict[str, WorkerStatus] = {}
    for (worker, queue), alive, holds in zip(pairs, answers[::2], answers[1::2], strict=True):
        status = found.setdefault(worker, WorkerStatus(worker=worker, alive=bool(alive), holds={}))
        status.holds[queue] = holds or 0
    return list(found.values())


def _relays(client: "redis.Redis", members: Iterable[str]) -> list[RelayStatus]:
    """Return the relay processes that are registered, and what each reports of itself."""
    names = list(members)
    beats = client.mget(map(layout.relay_process_key, names)) if names else []
    return [_relay(name, beat) for name, beat in zip(names, beats, strict=True)]


def _relay(name: str, beat: Any) -> RelayStatus:
    publisher, _, relay = name.partition("/")
    try:
        report = json.loads(beat or b"{}")
        return RelayStatus(
            publisher=publisher,
            relay=relay,
            alive=beat is not None,
            up_seconds=report.get("up_seconds"),
            failing=report.get("failing", {}),
        )
    except (ValueError, AttributeError):  # another program wrote it
        return RelayStatus(publisher=publisher, relay=relay, alive=False, up_seconds=None, failing={})


def _answers(pipeline: Any) -> list[Any]:
    """Execute commands; None stands for what Redis refuses."""
    return [None if isinstance(answer, Exception) else answer for answer in pipeline.execute(raise_on_error=False)]


def _texts(members: Any) -> list[str]:
    return sorted(str(member, errors="replace") for member in members or ())
