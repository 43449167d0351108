"""How Herald connects to Redis."""

from typing import Any, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, UnixDomainSocketConnection, parse_url
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

MANY = 2**16
"""The most connections of one client; in effect no limit. Each of a worker's threads holds one while it works."""


class _Socket(UnixDomainSocketConnection):
    """A connection through a Unix socket. redis-py reads `host` and `port` of every connection that fails."""

    host: ClassVar[str] = ""
    port: ClassVar[int] = 0


def connect(redis_url: str, *, timeout: float | None = 5.0, **options: Any) -> redis.Redis:
    """Make a client that never retries by itself: only the caller can judge a command that may have run.

    `timeout`: seconds to wait for a reply; None waits for ever. `options`: further options of redis-py, for each
    connection. The URL can't override the options that Herald needs.
    """
    from_url: dict[str, Any] = parse_url(redis_url)  # type: ignore[no-untyped-call]  # redis-py has no types here
    if redis_url.startswith("unix:"):
        from_url["connection_class"] = _Socket
    else:
        from_url["socket_keepalive"] = True
    required = {
        "socket_timeout": timeout,
        "socket_connect_timeout": 5.0,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,  # saves the two round trips of CLIENT SETINFO on each connection
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),  # saves one more
        "max_connections": MANY,
    }
    return redis.Redis.from_pool(ConnectionPool(**from_url | required | options))
