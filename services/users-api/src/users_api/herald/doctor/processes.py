"""Does every process live that has something to do?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from users_api.herald.doctor.finding import Finding
from users_api.herald.output import span
from users_api.status.judging import queues, relays

if TYPE_CHECKING:
    from users_api.status.schemas import Status


def check(seen: "Status") -> Iterator[Finding]:
    """Look for a live relay, and for a live worker of every queue that is in use."""
    if seen.redis.fault:
        yield Finding("processes", "look", "unknown: they are seen in Redis", "Correct what is said of redis.")
        return
    yield from _relays(seen)
    for queue, is_read in queues(seen).items():
        if is_read:
            yield Finding(f"worker of {queue}", "ok", "alive")
        else:
            yield Finding(f"worker of {queue}", "wrong", "none is alive", f"Start the one that serves queue {queue}.")


def _relays(seen: "Status") -> Iterator[Finding]:
    alive = relays(seen.redis)
    if not alive:
        yield Finding("relay", "wrong", "none is alive: no effect happens", "users-api relay")
    for relay in alive:
        up = f"{relay.relay} is alive, up {span(relay.up_seconds or 0)}"
        if relay.failing:
            words = "; ".join(f"{loop}: {error}" for loop, error in relay.failing.items())
            yield Finding("relay", "wrong", f"{up}, but fails: {words}", "Correct what the error names.")
        else:
            yield Finding("relay", "ok", up)
