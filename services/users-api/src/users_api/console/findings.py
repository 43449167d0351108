"""What is wrong at the moment, and what an operator can do about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from contracts import SUBSCRIPTIONS
from messaging.publishing.states import IN_FLIGHT, UNFINISHED
from users_api.console import PATH, words
from users_api.status.judging import FULL, LATE_SECONDS, queues, recently_retried, relays, unfinished
from users_api.status.schemas import RedisStatus, Status, SubscriptionStatus
from users_api.status.transport import NOT_SET


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `level`: bad, warn or info. `link`: the list behind it."""

    level: str
    text: str
    link: str | None = None


def findings(status: Status) -> list[Finding]:
    """Return what is wrong, the worst first."""
    found = [*_redis(status), *_postgresql(status)]
    for subscription in status.subscriptions:
        found += [*_subscription(subscription), *_retried(status, subscription)]
    return sorted(found, key=lambda finding: ("bad", "warn", "info").index(finding.level))


def deliveries(subscription: str | None = None, *states: str) -> str:
    """Return the path of a list of deliveries."""
    return _listed([subscription] if subscription else [], states)


def in_flight(*queues: str) -> str:
    """Return the path of a list of the deliveries that are queued or running in some queues: what messages hold."""
    return _listed([effect.name for effect in SUBSCRIPTIONS if effect.queue in queues], IN_FLIGHT)


def _listed(subscriptions: Sequence[str], states: Sequence[str]) -> str:
    query = [("subscription", name) for name in subscriptions] + [("state", state) for state in states]
    return f"{PATH}/deliveries?{urlencode(query)}"


def _redis(status: Status) -> Iterator[Finding]:
    redis = status.redis
    if redis.fault == NOT_SET:
        yield Finding("info", f"{NOT_SET}, so relays, workers and queues aren't shown here. Set it to the relay's.")
        return
    if redis.fault:
        yield Finding(
            "bad",
            f"{redis.fault}. Registrations are accepted; their effects follow when Redis is back. Nothing is lost.",
        )
        return
    if redis.policy not in {None, "noeviction"}:
        yield Finding(
            "bad", f"Redis may delete messages when it is full. Set maxmemory-policy noeviction; it is {redis.policy}."
        )
    yield from _relays(redis)
    yield from _workers(status)


def _relays(redis: RedisStatus) -> Iterator[Finding]:
    alive = relays(redis)
    if not alive:
        yield Finding("bad", "No relay runs. Registrations are accepted; their effects wait. Start: users-api relay")
    for relay in alive:
        for loop, error in relay.failing.items():
            yield Finding("bad", f"The relay {relay.relay} can't {loop} at the moment: {error}")


def _workers(status: Status) -> Iterator[Finding]:
    """Find queues that no worker reads, and workers that died."""
    for queue, is_read in sorted(queues(status).items()):
        if not is_read:
            yield Finding("bad", f"No worker reads the queue {queue}. Start: dramatiq {_program(queue)}")
    for worker in status.redis.workers:
        held = sum(worker.holds.values())
        if held and not worker.alive:
            text = f"The worker {worker.worker} is gone; it held {words.messages(held)}, which the relay sends again."
            yield Finding("warn", text, in_flight(*(queue for queue, number in worker.holds.items() if number)))


def _program(queue: str) -> str:
    return {"webhook": "notifier.webhooks.worker", "reports": "auditor.reports.worker"}.get(queue, f"{queue}.worker")


def _postgresql(status: Status) -> Iterator[Finding]:
    server = status.postgresql
    if server.connections >= FULL * server.max_connections:
        yield Finding("warn", f"PostgreSQL has {server.connections} of at most {server.max_connections} connections.")


def _subscription(subscription: SubscriptionStatus) -> Iterator[Finding]:
    name, states = subscription.name, subscription.states
    if not subscription.declared and unfinished(subscription):
        yield Finding(
            "bad",
            f"{name} has deliveries, and isn't declared any more: no relay takes them.",
            deliveries(name),
        )
    if subscription.overdue_seconds > LATE_SECONDS:
        text = f"{name}: the oldest delivery is {words.duration(subscription.overdue_seconds)} late."
        yield Finding("warn", text, deliveries(name, *UNFINISHED))
    if states["failed"].count:
        yield Finding("warn", f"{name}: {words.tallied(states['failed'])} failed.", deliveries(name, "failed"))
    if states["uncertain"].count:
        text = f"{name}: {words.tallied(states['uncertain'])} uncertain. You decide what becomes of them."
        yield Finding("warn", text, f"{PATH}/uncertain")


def _retried(status: Status, subscription: SubscriptionStatus) -> Iterator[Finding]:
    """Find what is tried again: what waits for that, or else what has just failed and is under way once more."""
    name, retrying = subscription.name, subscription.states["retrying"]
    if retrying.count:
        text = f"{name}: {words.tallied(retrying)} retrying. Each is tried again when it is due."
        yield Finding("info", text, deliveries(name, "retrying"))
    elif retried := recently_retried(status, subscription):
        yield Finding("info", f"{name}: {retried}.", deliveries(name, *UNFINISHED))
