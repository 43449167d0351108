"""The keys in Redis: Dramatiq's layout, and the few keys that Herald adds.

Dramatiq keeps each message in the hash `<namespace>:<queue>.msgs` until it is acknowledged. The message's id is in the
list `<namespace>:<queue>`; when a worker fetches the message, the id moves to that worker's set of unacknowledged ids.
A message exists if its id is in one of these two and its data in the hash.

Queues and workers serve every publisher. Each publisher has a stream of receipts and an epoch of its own, and the id
of each of its messages begins with its name (`messaging.relay.publishers`).
"""

NAMESPACE = "dramatiq"

RECEIPTS = "herald:receipts"
"""Prefix of the key of a publisher's stream of receipts (`receipts_key`)."""

EPOCH = "herald:epoch"
"""Prefix of the key of a publisher's epoch (`epoch_key`)."""

PROBE = "herald:probe"
"""The relay writes this key, for a moment, to see whether Redis accepts writes: a full Redis still answers reads."""

WORKERS = "herald:workers"
"""Set: which worker processes may hold messages, and of which queue. Each relay watches those of its own queues."""

RELAYS = "herald:relays"
"""Set: which relay processes have run recently (`relay_member`). For people: nothing depends on it."""

DRAMATIQ_HEARTBEATS = f"{NAMESPACE}:__heartbeats__"
"""Sorted set: Dramatiq's own list of workers. Herald only keeps it from growing."""

UNACKED = f"{NAMESPACE}:__acks__"
"""Prefix of the key of a worker's unacknowledged ids of a queue (`unacked_key`)."""

HEARTBEAT_SECONDS = 6
"""How long one heartbeat of a worker process or a relay lasts. Workers send one at least every four seconds."""


def receipts_key(publisher: str) -> str:
    """Name the stream of receipts for the relays of a publisher."""
    return f"{RECEIPTS}:{publisher}"


def epoch_key(publisher: str) -> str:
    """Name the key that exists if a relay of the publisher has run recently and Redis hasn't been wiped since."""
    return f"{EPOCH}:{publisher}"


def queue_key(queue: str) -> str:
    """Name the list of ids of the messages that wait in a queue."""
    return f"{NAMESPACE}:{queue}"


def messages_key(queue: str) -> str:
    """Name the hash of a queue's messages, both waiting and fetched."""
    return f"{NAMESPACE}:{queue}.msgs"


def unacked_key(worker: str, queue: str) -> str:
    """Name the set of message ids that a worker process has fetched and not acknowledged."""
    return f"{UNACKED}.{worker}.{queue}"


def holder(worker: str, queue: str) -> str:
    """Return the member of WORKERS that stands for a worker process and a queue."""
    return f"{worker}/{queue}"


def heartbeat_key(worker: str) -> str:
    """Name the key that exists while the worker sends heartbeats. It expires by Redis' clock, and by no other."""
    return f"herald:worker:{worker}"


def relay_key(host: str) -> str:
    """Name the key that exists while a relay of this host reconciles."""
    return f"herald:relay:{host}"


def relay_member(publisher: str, name: str) -> str:
    """Return the member of RELAYS that stands for a relay process."""
    return f"{publisher}/{name}"


def relay_process_key(member: str) -> str:
    """Name the key that exists while a relay process sends signs of life."""
    return f"herald:relay:{member}"


def kind(key: str) -> str:
    """Return the type that one of the keys above must have, as Redis' TYPE names it."""
    if key.startswith(f"{RECEIPTS}:"):
        return "stream"
    if key == DRAMATIQ_HEARTBEATS:
        return "zset"
    if key in (WORKERS, RELAYS) or key.startswith(f"{UNACKED}."):
        return "set"
    if key.endswith(".msgs"):
        return "hash"
    return "list" if key.startswith(f"{NAMESPACE}:") else "string"
