"""How deliveries end, told twice: to the relay as receipts, to people as log lines.

What went well is one receipt and one line for many; each that didn't has its own.
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
from messaging.wire.message import Delivery
from messaging.wire.receipts import Outcome, Receipt, describe

Settled = tuple[Delivery, BaseException | None]
"""A delivery, and what its attempt raised: None, if it succeeded."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("subscriber")


def begun(deliveries: Iterable[Delivery]) -> list[Receipt]:
    """Tell that a handler is about to begin: by this a crash is told from a wait."""
    return [_receipt(each, "started") for each in deliveries]


def refused(subscription: str, item: Mapping[str, Any], error: ContractError) -> Receipt:
    """Tell that an event breaks its contract: no attempt can help.

    Raises:
        LookupError, TypeError, ValueError: it isn't even known which delivery this is (`message.MALFORMED`).
    """
    reference = message.reference(subscription, item)
    log.error("delivery.refused", event_id=str(reference.event_id), error=describe(error))
    return Receipt(reference.event_id, reference.subscription, reference.dispatch, "failed", describe(error))


def ended(settled: Sequence[Settled]) -> list[Receipt]:
    """Tell how attempts ended."""
    succeeded = [delivery for delivery, error in settled if error is None]
    if succeeded:
        log.info(
            "deliveries.succeeded",
            subscription=succeeded[0].subscription,
            count=len(succeeded),
            event_ids=[str(each.event.id) for each in succeeded],
            correlation_ids=[each.event.correlationid for each in succeeded],
        )
    told = [_receipt(each, "succeeded") for each in succeeded]
    return told + [_failure(delivery, error) for delivery, error in settled if error is not None]


Tell = Callable[[Sequence[Receipt]], None]


@contextmanager
def reporting(client: redis.Redis, publisher: str) -> Iterator[Tell]:
    """Send each report to the publisher's relays immediately. Redis' reply is read before the next, or at the end.

    If Redis is away, work goes on: the lease and the handler's idempotency cover a lost receipt.
    """
    last: Sequence[Receipt] = ()

    def tell(receipts: Sequence[Receipt]) -> None:
        nonlocal last
        if receipts:
            with _losing(last):
                writer.confirm()
            last = receipts
            with _losing(last):
                writer.write(last)

    with closing(ReceiptWriter(client, publisher)) as writer:
        yield tell
        with _losing(last):
            writer.confirm()


@contextmanager
def _losing(receipts: Sequence[Receipt]) -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        log.warning("receipts.lost", count=len(receipts), error=describe(error))


def _failure(delivery: Delivery, error: BaseException) -> Receipt:
    outcome = _classify(error)
    level = logging.INFO if isinstance(error, RetryLater | HandedBack) else logging.WARNING
    log.log(
        level,
        f"delivery.{outcome}",
        error=describe(error),
        exc_info=_traceback(error),
        event_id=str(delivery.event.id),
        correlation_id=delivery.event.correlationid,
        subscription=delivery.subscription,
        dispatch=delivery.dispatch,
    )
    return _receipt(delivery, outcome, describe(error), error.after if isinstance(error, RetryLater) else None)


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


def _receipt(delivery: Delivery, outcome: Outcome, error: str | None = None, after: float | None = None) -> Receipt:
    return Receipt(delivery.event.id, delivery.subscription, delivery.dispatch, outcome, error, after)
