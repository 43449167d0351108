"""What is wrong with a status: the rules that the console's overview and `herald doctor` share."""

from datetime import timedelta

from contracts import SUBSCRIPTIONS
from contracts.events import PUBLISHERS
from messaging.publishing.states import UNFINISHED
from messaging.publishing.switches import enabled
from users_api import PUBLISHER
from users_api.status.schemas import RedisStatus, RelayStatus, Status, SubscriptionStatus

LATE_SECONDS = 60.0
"""Seconds after which docs/operating.md says to sound an alarm."""

FULL = 0.9
"""The share of PostgreSQL's max_connections from which on a new process may get none."""

RECENT_MINUTES = 3
"""Attempts that failed in the last minutes, this one among them, are reported while their deliveries are unfinished."""

_QUEUES = {
    effect.name: effect.queue
    for effect in SUBSCRIPTIONS
    if effect.event_type in {event.event_type for event in PUBLISHERS[PUBLISHER]}
}


def unfinished(subscription: SubscriptionStatus) -> int:
    """Return how many deliveries wait or are being worked on; a lower bound, if one of the counts is."""
    return sum(subscription.states[state].count for state in UNFINISHED)


def recently_retried(status: Status, subscription: SubscriptionStatus) -> str:
    """Say how many attempts failed lately and are tried again; empty without any, or if nothing is unfinished.

    While such an attempt runs, as for long with a server that hangs, no delivery is `retrying`.
    """
    recent = status.time - timedelta(minutes=RECENT_MINUTES)
    retried = sum(minute.retried for minute in subscription.minutes if minute.minute > recent)
    if not retried or not unfinished(subscription):
        return ""
    attempts, are = ("attempt", "is") if retried == 1 else ("attempts", "are")
    return f"{retried:,} {attempts} failed in the last {RECENT_MINUTES} minutes, and {are} tried again"


def relays(redis: RedisStatus) -> list[RelayStatus]:
    """Return the live relays of users-api. Those of other publishers move none of its deliveries."""
    return [relay for relay in redis.relays if relay.alive and relay.publisher == PUBLISHER]


def queues(status: Status) -> dict[str, bool]:
    """Return the queues of effects that are on or have unfinished deliveries, and whether a live worker reads each.

    Raises:
        ConfigurationError: a setting that turns an effect on is wrong.
    """
    used = {effect.name for effect in enabled()} | {each.name for each in status.subscriptions if unfinished(each)}
    read = {queue for worker in status.redis.workers if worker.alive for queue in worker.holds}
    return {queue: queue in read for name, queue in _QUEUES.items() if name in used}
