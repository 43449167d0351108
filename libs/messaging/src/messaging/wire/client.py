"""How Herald connects to Redis."""

from typing import Any, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, UnixDomainSocketConnection, parse_url
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

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
