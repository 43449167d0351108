"""Apply receipts to deliveries: groups of them, one statement for each kind of news, one transaction in all."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog

from contracts import EventData, Subscription
from messaging.process.database import Pool
from messaging.publishing.states import FINAL
from messaging.relay import deliveries
from messaging.relay.dispatch import LEASE
from messaging.wire.receipts import OUTCOMES, Receipt

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


class Applier:
    """Moves deliveries on as their receipts say. `subscriptions` bring the retry policies."""

    def __init__(self, pool: Pool, subscriptions: Sequence[Subscription[EventData]]) -> None:
        self._pool = pool
        self._policies = policies(subscriptions)

    def apply(self, receipts: Iterable[Receipt]) -> None:
        """Apply receipts in any order, any number of times."""
        by_outcome = _weightiest(receipts)
        started = by_outcome.get("started", [])
        finished = [each for outcome in FINAL for each in by_outcome.get(outcome, [])]
        retried = by_outcome.get("retry", [])
        handed_back = by_outcome.get("handed_back", [])
        with self._pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
            if started:
                cursor.execute(deliveries.STARTED, deliveries.triples(started) | {"lease": LEASE})
            if handed_back:
                cursor.execute(deliveries.DUE_AGAIN, deliveries.triples(handed_back))
                cursor.execute(deliveries.WAKE)
            if finished:
                cursor.execute(deliveries.FINISHED, deliveries.triples(finished) | _news(finished))
            if retried:
                cursor.execute(deliveries.RETRIED, deliveries.triples(retried) | _news(retried) | self._policies)
                log_dead(cursor.fetchall())
                cursor.execute(deliveries.WAKE)


def log_dead(moved: Iterable[tuple[Any, ...]]) -> None:
    """Say which of the deliveries that RETRIED or CRASHED moved are dead letters now."""
    for event_id, subscription, state, last_error in moved:
        if state == "failed":
            log.error("delivery.gave_up", event_id=str(event_id), subscription=subscription, error=last_error)


def policies(subscriptions: Sequence[Subscription[EventData]]) -> dict[str, list[Any]]:
    """Return the retry policies as the parallel arrays that RETRIED and CRASHED join."""
    return {
        "names": [each.name for each in subscriptions],
        "max_attempts": [each.retry.max_attempts for each in subscriptions],
        "max_crashes": [each.retry.max_crashes for each in subscriptions],
        "first_delays": [each.retry.first_delay for each in subscriptions],
        "max_delays": [each.retry.max_delay for each in subscriptions],
    }


def _weightiest(receipts: Iterable[Receipt]) -> dict[str, list[Receipt]]:
    """Keep one receipt for each dispatch, by outcome: an outcome says all that `started` would."""
    kept: dict[tuple[UUID, str, int], Receipt] = {}
    for receipt in receipts:
        key = (receipt.event_id, receipt.subscription, receipt.dispatch)
        if key not in kept or OUTCOMES.index(receipt.outcome) > OUTCOMES.index(kept[key].outcome):
            kept[key] = receipt
    by_outcome: dict[str, list[Receipt]] = {}
    for receipt in kept.values():
        by_outcome.setdefault(receipt.outcome, []).append(receipt)
    return by_outcome


def _news(receipts: list[Receipt]) -> dict[str, list[Any]]:
    return {
        "outcomes": [each.outcome for each in receipts],
        "errors": [each.error for each in receipts],
        "afters": [each.after for each in receipts],
    }
