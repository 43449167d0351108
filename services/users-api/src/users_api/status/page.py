"""Put the parts of a status together."""

import asyncio
from typing import NamedTuple

from contracts import SUBSCRIPTIONS
from users_api.database import in_time
from users_api.pool import Pool
from users_api.status.backlog import Backlog, Backlogs, backlogs, last_errors
from users_api.status.postgres import postgres_status
from users_api.status.running import longest_running
from users_api.status.schemas import LastError, Moves, PostgresStatus, Running, Status, SubscriptionStatus
from users_api.status.throughput import Throughput, last_hour
from users_api.status.transport import Transport

_DECLARED = {subscription.name: subscription for subscription in SUBSCRIPTIONS}


async def status_of(pool: Pool, transport: Transport) -> Status:
    """Return how everything is doing.

    Raises:
        DatabaseUnavailable: PostgreSQL doesn't answer. (If Redis doesn't, the status says so.)
    """
    (found, parts, postgresql), redis = await asyncio.gather(in_time(_read(pool)), transport.status())
    return Status(
        time=found.time,
        counted_at=found.counted_at,
        unqueued_seconds=found.unqueued,
        subscriptions=[_subscription(name, backlog, parts) for name, backlog in found.by_subscription.items()],
        postgresql=postgresql,
        redis=redis,
    )


class _Parts(NamedTuple):
    """What a status says of a subscription besides its backlog: each part by the subscription's name."""

    hours: dict[str, Throughput]
    errors: dict[str, LastError]
    running: dict[str, list[Running]]


async def _read(pool: Pool) -> tuple[Backlogs, _Parts, PostgresStatus]:
    """Read one part after the other, so that a status occupies one connection of the pool."""
    found = await backlogs(pool)
    parts = _Parts(await last_hour(pool), await last_errors(pool), await longest_running(pool))
    return found, parts, await postgres_status(pool)


def _subscription(name: str, backlog: Backlog, parts: _Parts) -> SubscriptionStatus:
    declared, throughput = _DECLARED.get(name), parts.hours.get(name)
    return SubscriptionStatus(
        name=name,
        service=declared.service if declared else None,
        declared=declared is not None,
        states=backlog.states,
        oldest_seconds=backlog.oldest,
        overdue_seconds=backlog.overdue,
        longest_running=parts.running.get(name, []),
        last_succeeded_at=throughput.last_success if throughput else None,
        last_error=parts.errors.get(name),
        hour=throughput.hour if throughput else Moves(),
        minutes=throughput.minutes if throughput else [],
    )
