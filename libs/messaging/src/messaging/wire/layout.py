"""Where messages and receipts lie in Redis: Dramatiq's layout, and the few keys that Herald adds.

Dramatiq keeps each message in the hash `<namespace>:<queue>.msgs` from enqueueing until it is acknowledged,
and its id in the list `<namespace>:<queue>` or, once a worker has fetched it, in that worker's set of
unacknowledged ids. A message is there if its id is in one of these two and its data in the hash.

Queues and workers serve every publisher. Each publisher has a stream of receipts and an epoch of its own, and the id
of each of its messages begins with its name (`messaging.relay.publishers`).
"""

NAMESPACE = "dramatiq"

RECEIPTS = "herald:receipts"
"""How the key of a publisher's stream of receipts begins (`receipts_key`)."""

EPOCH = "herald:epoch"
"""How the key of a publisher's epoch begins (`epoch_key`)."""

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


def receipts_key(publisher: str) -> str:
    """Name the stream of what consumers report to the relays of a publisher."""
    return f"{RECEIPTS}:{publisher}"


def epoch_key(publisher: str) -> str:
    """Name the key that exists if a relay of the publisher has run lately and Redis hasn't been wiped since."""
    return f"{EPOCH}:{publisher}"


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
    """Name the key that exists while the worker's heart beats. Redis' clock alone decides."""
    return f"herald:worker:{worker}"


def relay_key(host: str) -> str:
    """Name the key that exists while a relay of this host does its rounds."""
    return f"herald:relay:{host}"


def kind(key: str) -> str:
    """Return the type, in Redis' words, that one of the keys above has."""
    if key.startswith(f"{RECEIPTS}:"):
        return "stream"
    if key == DRAMATIQ_HEARTBEATS:
        return "zset"
    if key == WORKERS or key.startswith(f"{UNACKED}."):
        return "set"
    if key.endswith(".msgs"):
        return "hash"
    return "list" if key.startswith(f"{NAMESPACE}:") else "string"
