"""Put the parts of a status together."""

import asyncio

from contracts import SUBSCRIPTIONS
from users_api.database import in_time
from users_api.pool import Pool
from users_api.status.backlog import Backlog, Backlogs, backlogs, last_errors
from users_api.status.postgres import postgres_status
from users_api.status.schemas import LastError, Moves, PostgresStatus, Status, SubscriptionStatus
from users_api.status.throughput import Throughput, last_hour
from users_api.status.transport import Transport

_DECLARED = {subscription.name: subscription for subscription in SUBSCRIPTIONS}


async def status_of(pool: Pool, transport: Transport) -> Status:
    """Return how everything is doing.

    Raises:
        DatabaseUnavailable: PostgreSQL doesn't answer. (If Redis doesn't, the status says so.)
    """
    (found, hours, errors, postgresql), redis = await asyncio.gather(in_time(_read(pool)), transport.status())
    subscriptions = [
        _subscription(name, backlog, hours.get(name), errors.get(name))
        for name, backlog in found.by_subscription.items()
    ]
    return Status(
        time=found.time,
        counted_at=found.counted_at,
        unqueued_seconds=found.unqueued,
        subscriptions=subscriptions,
        postgresql=postgresql,
        redis=redis,
    )


async def _read(pool: Pool) -> tuple[Backlogs, dict[str, Throughput], dict[str, LastError], PostgresStatus]:
    """Read one part after the other, so that a status occupies one connection of the pool."""
    return await backlogs(pool), await last_hour(pool), await last_errors(pool), await postgres_status(pool)


def _subscription(
    name: str, backlog: Backlog, throughput: Throughput | None, error: LastError | None
) -> SubscriptionStatus:
    declared = _DECLARED.get(name)
    return SubscriptionStatus(
        name=name,
        service=declared.service if declared else None,
        declared=declared is not None,
        states=backlog.states,
        oldest_seconds=backlog.oldest,
        overdue_seconds=backlog.overdue,
        last_succeeded_at=throughput.last_success if throughput else None,
        last_error=error,
        hour=throughput.hour if throughput else Moves(),
        minutes=throughput.minutes if throughput else [],
    )
