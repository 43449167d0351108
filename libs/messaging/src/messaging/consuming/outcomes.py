"""Report how attempts end: to the relay as receipts, and to people as log lines.

Successes share a receipt and a log line; every failure has its own.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import redis
import structlog

from contracts import ContractError
from messaging.consuming.receipt_writer import ReceiptWriter
from messaging.errors import HandedBack, MessagingError, PermanentError, RetryLater, UncertainError
from messaging.wire import message
from messaging.wire.message import Attempt
from messaging.wire.receipt import Outcome, Receipt, describe

Result = tuple[Attempt[Any], BaseException | str | None]
"""An attempt, and the error that it raised. If it succeeded: the provider's reference, or None."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("subscriber")


def begun(attempts: Iterable[Attempt[Any]]) -> list[Receipt]:
    """Return receipts that say that a handler is about to begin. By them the relay knows a crash from a wait."""
    now = time.monotonic()
    return [_receipt(attempt.begun(now), "started") for attempt in attempts]


def refused(subscription: str, item: Mapping[str, Any], error: ContractError) -> Receipt:
    """Log that an event breaks its contract, and return its receipt: `failed`, because no attempt can help.

    Raises:
        message.MALFORMED: the item doesn't even say which delivery it is for.
    """
    reference = message.reference(subscription, item)
    log.error("delivery.refused", event_id=str(reference.event_id), error=describe(error))
    return Receipt(reference.event_id, reference.subscription, reference.dispatch, "failed", describe(error))


def ended(results: Sequence[Result]) -> list[Receipt]:
    """Log how attempts ended, and return their receipts."""
    succeeded = [(attempt, end) for attempt, end in results if not isinstance(end, BaseException)]
    if succeeded:
        log.info(
            "deliveries.succeeded",
            subscription=succeeded[0][0].subscription,
            count=len(succeeded),
            event_ids=[str(attempt.event.id) for attempt, _ in succeeded],
            correlation_ids=[attempt.event.correlationid for attempt, _ in succeeded],
        )
    receipts = [_receipt(attempt, "succeeded", reference=reference) for attempt, reference in succeeded]
    return receipts + [_failure(attempt, end) for attempt, end in results if isinstance(end, BaseException)]


Report = Callable[[Sequence[Receipt]], None]


@contextmanager
def reporting(client: redis.Redis, publisher: str) -> Iterator[Report]:
    """Yield a function that sends receipts to the publisher's relays immediately.

    Redis' reply to one report is read before the next report is sent, or when the block ends. While Redis is
    unreachable the work continues: the lease and the consumer's idempotency make up for a lost receipt.
    """
    last: Sequence[Receipt] = ()

    def report(receipts: Sequence[Receipt]) -> None:
        nonlocal last
        if receipts:
            with _logged_if_lost(last):
                writer.confirm()
            last = receipts
            with _logged_if_lost(last):
                writer.write(last)

    with closing(ReceiptWriter(client, publisher)) as writer:
        yield report
        with _logged_if_lost(last):
            writer.confirm()


@contextmanager
def _logged_if_lost(receipts: Sequence[Receipt]) -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        log.warning("receipts.lost", count=len(receipts), error=describe(error))


def _failure(attempt: Attempt[Any], error: BaseException) -> Receipt:
    outcome = _classify(error)
    level = logging.INFO if isinstance(error, RetryLater | HandedBack) else logging.WARNING
    log.log(
        level,
        f"delivery.{outcome}",
        error=describe(error),
        exc_info=_traceback(error),
        event_id=str(attempt.event.id),
        correlation_id=attempt.event.correlationid,
        subscription=attempt.subscription,
        dispatch=attempt.dispatch,
    )
    return _receipt(attempt, outcome, describe(error), error.after if isinstance(error, RetryLater) else None)


def _classify(error: BaseException) -> Outcome:
    match error:
        case PermanentError():
            return "failed"
        case UncertainError():
            return "uncertain"
        case HandedBack():
            return "handed_back"
        case _:
            return "retry"


def _traceback(error: BaseException) -> BaseException | None:
    """Return the error to log with its traceback; None, if the handler raised it to say how the attempt ended."""
    return None if isinstance(error, MessagingError) else error


def _receipt(
    attempt: Attempt[Any],
    outcome: Outcome,
    error: str | None = None,
    after: float | None = None,
    reference: str | None = None,
) -> Receipt:
    return Receipt(
        attempt.event.id, attempt.subscription, attempt.dispatch, outcome, error, after, reference, attempt.began
    )
