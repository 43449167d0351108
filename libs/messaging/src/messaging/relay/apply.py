"""Apply a group of receipts to deliveries: one statement for each kind of outcome, all in one transaction."""

import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog

from contracts import EventData, Subscription
from messaging.process.database import Pool
from messaging.publishing.counts import counting
from messaging.publishing.states import DEAD
from messaging.relay import deliveries, dispatch_ends
from messaging.relay.dispatch import LEASE
from messaging.wire.receipt import OUTCOMES, Receipt

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


class Applier:
    """Moves deliveries as their receipts say. `subscriptions`: have the retry policies."""

    def __init__(self, pool: Pool, subscriptions: Sequence[Subscription[EventData]]) -> None:
        self._pool = pool
        self._policies = policies(subscriptions)

    def apply(self, receipts: Iterable[Receipt]) -> None:
        """Apply receipts. They may come in any order, and any number of times.

        Raises:
            psycopg.Error: no receipt was applied.
        """
        listed = list(receipts)
        decided = [receipt for receipt in listed if receipt.outcome == "resend"]
        by_outcome = _heaviest(receipt for receipt in listed if receipt.outcome != "resend")
        started = by_outcome.get("started", [])
        succeeded = by_outcome.get("succeeded", [])
        failed = [receipt for outcome in DEAD for receipt in by_outcome.get(outcome, [])]
        retried = by_outcome.get("retry", [])
        handed_back = by_outcome.get("handed_back", [])
        with self._pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
            if started:
                cursor.execute(deliveries.STARTED, deliveries.triples(started) | _agos(started) | {"lease": LEASE})
            if handed_back:
                cursor.execute(dispatch_ends.DUE_AGAIN, deliveries.triples(handed_back) | {"lost": False})
                cursor.execute(deliveries.WAKE)
            if succeeded:
                cursor.execute(
                    dispatch_ends.SUCCEEDED, deliveries.triples(succeeded) | _reports(succeeded) | counting()
                )
            if failed:
                cursor.execute(dispatch_ends.FAILED, deliveries.triples(failed) | _reports(failed) | counting())
            if retried:
                reported = deliveries.triples(retried) | _reports(retried) | self._policies | counting()
                cursor.execute(dispatch_ends.RETRIED, reported)
                log_dead(cursor.fetchall())
                cursor.execute(deliveries.WAKE)
            if decided:  # last: the receipt that says `uncertain` may be among these
                cursor.execute(deliveries.RESEND, deliveries.triples(decided))
                cursor.execute(deliveries.WAKE)


def log_dead(moved: Iterable[tuple[Any, ...]]) -> None:
    """Log which of the deliveries that RETRIED or CRASHED moved have become dead letters."""
    for event_id, subscription, state, last_error in moved:
        if state == "failed":
            log.error("delivery.gave_up", event_id=str(event_id), subscription=subscription, error=last_error)


def policies(subscriptions: Sequence[Subscription[EventData]]) -> dict[str, list[Any]]:
    """Return the retry policies as the parallel arrays that RETRIED and CRASHED join."""
    return {
        "names": [subscription.name for subscription in subscriptions],
        "max_attempts": [subscription.retry.max_attempts for subscription in subscriptions],
        "max_crashes": [subscription.retry.max_crashes for subscription in subscriptions],
        "first_delays": [subscription.retry.first_delay for subscription in subscriptions],
        "max_delays": [subscription.retry.max_delay for subscription in subscriptions],
    }


def _heaviest(receipts: Iterable[Receipt]) -> dict[str, list[Receipt]]:
    """Return, by outcome, the heaviest receipt of each dispatch: a final outcome implies `started`."""
    heaviest: dict[tuple[UUID, str, int], Receipt] = {}
    for receipt in receipts:
        key = (receipt.event_id, receipt.subscription, receipt.dispatch)
        if key not in heaviest or OUTCOMES.index(receipt.outcome) > OUTCOMES.index(heaviest[key].outcome):
            heaviest[key] = receipt
    by_outcome: dict[str, list[Receipt]] = {}
    for receipt in heaviest.values():
        by_outcome.setdefault(receipt.outcome, []).append(receipt)
    return by_outcome


def _reports(receipts: list[Receipt]) -> dict[str, Any]:
    return {
        "outcomes": [receipt.outcome for receipt in receipts],
        "errors": [receipt.error for receipt in receipts],
        "afters": [receipt.after for receipt in receipts],
        "references": [receipt.reference for receipt in receipts],
        **_agos(receipts),
    }


def _agos(receipts: list[Receipt]) -> dict[str, str]:
    """Return how many seconds ago the handlers began, as PostgreSQL writes an array. (psycopg would take longer.)"""
    now = time.monotonic()
    agos = ["NULL" if receipt.began is None else f"{now - receipt.began:.6f}" for receipt in receipts]
    return {"agos": f"{{{','.join(agos)}}}"}
