"""Does this host's worker or relay work? For health checks: `python -m messaging.health worker` (or `relay`).

Ends with status 0, or with 1 and one line of reason. The sign of life is looked for in Redis, where the threads
that do the work leave it; no bystander thread vouches for them. So Redis being away is unhealthy as well, and
PostgreSQL being away is not: users-api's `/readyz` tells that. Nothing should be restarted for either.
"""

import socket
import sys

import redis

from messaging import transport
from messaging.receipts import GROUP, describe
from messaging.settings import Settings, load_or_exit

SILENT_SECONDS = 15
"""A relay looks for receipts every second; one that hasn't for so long hangs."""


def worker_fault(client: redis.Redis, host: str) -> str | None:
    """Return why no worker of this host is alive; None if one's heart beats."""
    mine = [each for each in transport.members(client, transport.WORKERS) if each.rsplit(".", 2)[0] == host]
    if mine and client.exists(*map(transport.heartbeat_key, mine)):
        return None
    return f"no worker on {host} has beaten its heart for {transport.HEARTBEAT_SECONDS} s"


def relay_fault(client: redis.Redis, host: str) -> str | None:
    """Return why no relay of this host is alive; None if one asked for receipts lately, were there any or not."""
    try:
        consumers = client.xinfo_consumers(transport.RECEIPTS, GROUP)
    except redis.ResponseError as error:
        return f"no relay has read receipts yet: {error}"
    idle = [each["idle"] for each in consumers if each["name"].decode().rsplit(".", 1)[0] == host]
    if idle and min(idle) < SILENT_SECONDS * 1000:
        return None
    return f"no relay on {host} has read receipts for {SILENT_SECONDS} s"


FAULTS = {"worker": worker_fault, "relay": relay_fault}


def main(arguments: list[str]) -> None:
    """Look for one kind of process, and end with the answer."""
    if len(arguments) != 1 or arguments[0] not in FAULTS:
        sys.exit(f"usage: python -m messaging.health {'|'.join(FAULTS)}")
    client = transport.connect(load_or_exit(Settings).redis_url, timeout=3.0)
    try:
        sys.exit(FAULTS[arguments[0]](client, socket.gethostname()))
    except redis.RedisError as error:
        sys.exit(f"Redis is not to be had: {describe(error)}")


if __name__ == "__main__":
    main(sys.argv[1:])
