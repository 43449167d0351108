"""Does every process live that has something to do?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from contracts import SUBSCRIPTIONS
from messaging.publishing.states import UNFINISHED
from messaging.publishing.switches import switched_on
from users_api import PUBLISHER
from users_api.herald.doctor.finding import Finding
from users_api.herald.output import span

if TYPE_CHECKING:
    from users_api.status.schemas import Status


def check(seen: "Status") -> Iterator[Finding]:
    """Look for a live relay, and for a live worker of every queue that is in use."""
    if seen.redis.fault:
        yield Finding("processes", "look", "unknown: they are seen in Redis", "Correct what is said of redis.")
        return
    yield from _relays(seen)
    alive = {queue for worker in seen.redis.workers if worker.alive for queue in worker.holds}
    for queue in _used(seen):
        if queue in alive:
            yield Finding(f"worker of {queue}", "ok", "alive")
        else:
            yield Finding(f"worker of {queue}", "wrong", "none is alive", f"Start the one that serves queue {queue}.")


def _relays(seen: "Status") -> Iterator[Finding]:
    alive = [relay for relay in seen.redis.relays if relay.alive and relay.publisher == PUBLISHER]
    if not alive:
        yield Finding("relay", "wrong", "none is alive: no effect happens", "users-api relay")
    for relay in alive:
        up = f"{relay.relay} is alive, up {span(relay.up_seconds or 0)}"
        if relay.failing:
            words = "; ".join(f"{loop}: {error}" for loop, error in relay.failing.items())
            yield Finding("relay", "wrong", f"{up}, but fails: {words}", "Correct what the error names.")
        else:
            yield Finding("relay", "ok", up)


def _used(seen: "Status") -> list[str]:
    """Return the queues of subscriptions that are on here, or have unfinished deliveries."""
    queues = {effect.name: effect.queue for effect in SUBSCRIPTIONS if effect.event_type in _published()}
    on = {effect.name for effect in switched_on(SUBSCRIPTIONS)}
    waiting = {each.name for each in seen.subscriptions if any(each.states[state].count for state in UNFINISHED)}
    return list(dict.fromkeys(queue for name, queue in queues.items() if name in on | waiting))


def _published() -> set[str]:
    from contracts.events import PUBLISHERS

    return {event.event_type for event in PUBLISHERS[PUBLISHER]}
