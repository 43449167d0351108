"""How attempts end, reported twice: to the relay as receipts, to people as log lines.

Successes share a receipt and a log line; every failure has its own.
"""

import logging
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

Result = tuple[Attempt[Any], BaseException | None]
"""An attempt, and what it raised: None, if it succeeded."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("subscriber")


def begun(attempts: Iterable[Attempt[Any]]) -> list[Receipt]:
    """Report that a handler is about to begin. By this the relay tells a crash from a wait in the queue."""
    return [_receipt(each, "started") for each in attempts]


def refused(subscription: str, item: Mapping[str, Any], error: ContractError) -> Receipt:
    """Report that an event breaks its contract: no attempt can help.

    Raises:
        LookupError, TypeError, ValueError: it isn't even known which delivery this is (`message.MALFORMED`).
    """
    reference = message.reference(subscription, item)
    log.error("delivery.refused", event_id=str(reference.event_id), error=describe(error))
    return Receipt(reference.event_id, reference.subscription, reference.dispatch, "failed", describe(error))


def ended(results: Sequence[Result]) -> list[Receipt]:
    """Report how attempts ended."""
    succeeded = [attempt for attempt, error in results if error is None]
    if succeeded:
        log.info(
            "deliveries.succeeded",
            subscription=succeeded[0].subscription,
            count=len(succeeded),
            event_ids=[str(each.event.id) for each in succeeded],
            correlation_ids=[each.event.correlationid for each in succeeded],
        )
    receipts = [_receipt(each, "succeeded") for each in succeeded]
    return receipts + [_failure(attempt, error) for attempt, error in results if error is not None]


Report = Callable[[Sequence[Receipt]], None]


@contextmanager
def reporting(client: redis.Redis, publisher: str) -> Iterator[Report]:
    """Send each report to the publisher's relays immediately. Redis' reply is read before the next one, or at the end.

    While Redis is unreachable work goes on: the lease and the consumer's idempotency cover a lost receipt.
    """
    last: Sequence[Receipt] = ()

    def report(receipts: Sequence[Receipt]) -> None:
        nonlocal last
        if receipts:
            with _losing(last):
                writer.confirm()
            last = receipts
            with _losing(last):
                writer.write(last)

    with closing(ReceiptWriter(client, publisher)) as writer:
        yield report
        with _losing(last):
            writer.confirm()


@contextmanager
def _losing(receipts: Sequence[Receipt]) -> Iterator[None]:
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
    """Show where an error came from, unless the handler raised it to say how the attempt ended."""
    return None if isinstance(error, MessagingError) else error


def _receipt(attempt: Attempt[Any], outcome: Outcome, error: str | None = None, after: float | None = None) -> Receipt:
    return Receipt(attempt.event.id, attempt.subscription, attempt.dispatch, outcome, error, after)
