"""Does this host's worker or relay work? For health checks: `python -m messaging.health worker` (or `relay`).

Ends with status 0, or with 1 and one line of reason. The sign of life is looked for in Redis, where the threads
that do the work leave it; no bystander thread vouches for them. So Redis being away is unhealthy as well, and
PostgreSQL being away is not: users-api's `/readyz` tells that. Nothing should be restarted for either.
"""

import socket
import sys

import redis

from messaging.process.settings import Settings, load_or_exit
from messaging.wire import layout
from messaging.wire.client import connect
from messaging.wire.receipts import describe
from messaging.wire.script import members


def worker_fault(client: redis.Redis, host: str) -> str | None:
    """Return why no worker of this host is alive; None if one's heart beats."""
    workers = {each.rpartition("/")[0] for each in members(client, layout.WORKERS)}
    mine = [each for each in workers if each.rsplit(".", 2)[0] == host]
    if mine and client.exists(*map(layout.heartbeat_key, mine)):
        return None
    return f"no heartbeat for {layout.HEARTBEAT_SECONDS} s from any worker on {host}"


def relay_fault(client: redis.Redis, host: str) -> str | None:
    """Return why no relay of this host is alive; None if one has lately done a round of reconciliation."""
    if client.exists(layout.relay_key(host)):
        return None
    return f"no heartbeat for {layout.HEARTBEAT_SECONDS} s from any relay on {host}"


FAULTS = {"worker": worker_fault, "relay": relay_fault}


def main(arguments: list[str]) -> None:
    """Look for one kind of process, and end with the answer."""
    if len(arguments) != 1 or arguments[0] not in FAULTS:
        sys.exit(f"usage: python -m messaging.health {'|'.join(FAULTS)}")
    client = connect(load_or_exit(Settings).redis_url, timeout=3.0)
    try:
        sys.exit(FAULTS[arguments[0]](client, socket.gethostname()))
    except redis.RedisError as error:
        sys.exit(f"Redis is unreachable: {describe(error)}")


if __name__ == "__main__":
    main(sys.argv[1:])
