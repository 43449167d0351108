"""Does this host's worker or relay work? For health checks: `python -m messaging.health worker` (or `relay`).

Ends with status 0, or with status 1 and one line that says why. The heartbeat is read from Redis, where the threads
that do the work write it; no separate thread writes it for them. So the check fails while Redis is away. It doesn't
fail while PostgreSQL is away: users-api's `/readyz` reports that. Don't restart anything for either.
"""

import socket
import sys

import redis

from messaging.process.settings import Settings, load_or_exit
from messaging.wire import layout
from messaging.wire.client import connect
from messaging.wire.receipt import describe
from messaging.wire.script import members


def worker_fault(client: redis.Redis, host: str) -> str | None:
    """Return why no worker of this host counts as alive; None if one has a heartbeat."""
    workers = {holder.rpartition("/")[0] for holder in members(client, layout.WORKERS)}
    local = [worker for worker in workers if worker.rsplit(".", 2)[0] == host]
    if local and client.exists(*map(layout.heartbeat_key, local)):
        return None
    return f"no heartbeat for {layout.HEARTBEAT_SECONDS} s from any worker on {host}"


def relay_fault(client: redis.Redis, host: str) -> str | None:
    """Return why no relay of this host counts as alive; None if one has recently done a round of reconciliation."""
    if client.exists(layout.relay_key(host)):
        return None
    return f"no heartbeat for {layout.HEARTBEAT_SECONDS} s from any relay on {host}"


FAULTS = {"worker": worker_fault, "relay": relay_fault}


def main(arguments: list[str]) -> None:
    """Check one kind of process, and end with the result as the exit status."""
    if len(arguments) != 1 or arguments[0] not in FAULTS:
        sys.exit(f"usage: python -m messaging.health {'|'.join(FAULTS)}")
    client = connect(load_or_exit(Settings).redis_url, timeout=3.0)
    try:
        sys.exit(FAULTS[arguments[0]](client, socket.gethostname()))
    except redis.RedisError as error:
        sys.exit(f"Redis is unreachable: {describe(error)}")


if __name__ == "__main__":
    main(sys.argv[1:])
