"""The subscriber: turns a plain function into a Dramatiq actor.

The actor checks the contract, reports `started`, calls the function and reports how each event ended. It never
raises: a transient error is the relay's to schedule, and one bad event never takes its neighbours down.
Nothing is swallowed: each delivery of a message gets exactly one outcome.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dramatiq
import psycopg
import redis
import structlog

from contracts import ContractError, Subscription
from messaging import message
from messaging.broker import HeraldBroker
from messaging.errors import MessagingError, PermanentError, RetryLater, TransientError, UncertainError
from messaging.message import Delivery, Reference
from messaging.receipts import Outcome, Receipt, describe, report

Handler = Callable[[Delivery], None]
GroupHandler = Callable[[Sequence[Delivery]], None]
Batch = Sequence[Mapping[str, Any]]

REPORT_EVERY = 0.25
"""Seconds after which outcomes of a long batch are reported before it ends."""

AWAY = {"08", "53", "57"}
"""SQLSTATE classes that are PostgreSQL's state and no statement's fault: connection, resources, operator."""


class HandedBack(MessagingError):
    """The worker was stopped before it came to this delivery. Nothing to do: it goes to another worker."""


log: structlog.stdlib.BoundLogger = structlog.get_logger("subscriber")


def subscribe(
    broker: HeraldBroker,
    subscription: Subscription,
    handler: Handler,
    *,
    receipts: redis.Redis,
) -> dramatiq.Actor[[Batch], None]:
    """Declare the actor that calls `handler` once for each delivery. `receipts`: where to report."""
    return _declare(
        broker, subscription, lambda deliveries: _one_by_one(handler, deliveries, broker.stopping), receipts
    )


def subscribe_group(
    broker: HeraldBroker,
    subscription: Subscription,
    handler: GroupHandler,
    *,
    receipts: redis.Redis,
) -> dramatiq.Actor[[Batch], None]:
    """Declare the actor that calls `handler` with all deliveries of a message at once.

    A group that raises is tried again one by one, so the handler must be idempotent and do all or nothing.
    """
    return _declare(broker, subscription, lambda deliveries: _as_group(handler, deliveries, broker.stopping), receipts)


Results = Iterator[tuple[Delivery, BaseException | None]]


def _declare(
    broker: HeraldBroker,
    subscription: Subscription,
    handle: Callable[[Sequence[Delivery]], Results],
    client: redis.Redis,
) -> dramatiq.Actor[[Batch], None]:
    def consume(batch: Batch) -> None:
        opened, refused = _open(subscription.name, batch)
        _report(client, [*refused, *(_receipt(each, "started") for each in opened)])
        outcomes: list[Receipt] = []
        reported = time.monotonic()
        for delivery, error in handle(opened):
            outcomes.append(_outcome(delivery, error))
            if time.monotonic() - reported > REPORT_EVERY:
                _report(client, outcomes)
                outcomes, reported = [], time.monotonic()
        _report(client, outcomes)

    declare = dramatiq.actor(
        broker=broker,
        actor_name=subscription.name,
        queue_name=subscription.queue,
        time_limit=int(subscription.time_limit * 1000),
    )
    return declare(consume)


def _open(subscription: str, batch: Batch) -> tuple[list[Delivery], list[Receipt]]:
    """Read the events; each that breaks its contract is refused at once, for good."""
    opened, refused = [], []
    for item in batch:
        try:
            reference = message.reference(subscription, item)
            opened.append(message.open_item(subscription, item))
        except ContractError as error:
            refused.append(_refusal(reference, error))
        except message.MALFORMED as error:
            log.warning("message.not_ours", subscription=subscription, error=describe(error))
    return opened, refused


def _one_by_one(handler: Handler, deliveries: Iterable[Delivery], stopping: threading.Event) -> Results:
    for delivery in deliveries:
        event = delivery.event
        with structlog.contextvars.bound_contextvars(
            event_id=str(event.id), correlation_id=event.correlationid, subscription=delivery.subscription
        ):
            yield (
                delivery,
                HandedBack(HandedBack.__doc__) if stopping.is_set() else _attempt(partial(handler, delivery)),
            )


def _as_group(handler: GroupHandler, deliveries: Sequence[Delivery], stopping: threading.Event) -> Results:
    """Handle all at once; if one of them spoils it, one by one, but not if the world is out of order for all."""
    error = _attempt(partial(handler, deliveries))
    if error is None or len(deliveries) == 1 or _is_outage(error):
        yield from ((delivery, error) for delivery in deliveries)
    else:
        yield from _one_by_one(lambda one: handler([one]), deliveries, stopping)


def _is_outage(error: BaseException) -> bool:
    """Tell whether an error is no single event's fault, so that trying each alone would only wait as many times."""
    if isinstance(error, psycopg.OperationalError):
        return error.sqlstate is None or error.sqlstate[:2] in AWAY
    return isinstance(error, TransientError | redis.RedisError | OSError)


def _attempt(call: Callable[[], None]) -> BaseException | None:
    """Call, and return what was raised, a time limit or SystemExit like anything else: nobody else would act on it."""
    try:
        call()
    except BaseException as error:  # returned, classified and reported
        return error
    return None


def _outcome(delivery: Delivery, error: BaseException | None) -> Receipt:
    outcome = _classify(error)
    fields = {
        "event_id": str(delivery.event.id),
        "correlation_id": delivery.event.correlationid,
        "subscription": delivery.subscription,
        "dispatch": delivery.dispatch,
    }
    if error is None:
        log.info("delivery.succeeded", **fields)
        return _receipt(delivery, "succeeded")
    level = logging.INFO if isinstance(error, RetryLater | HandedBack) else logging.WARNING
    log.log(level, f"delivery.{outcome}", error=describe(error), exc_info=_traceback(error), **fields)
    return _receipt(delivery, outcome, describe(error), error.after if isinstance(error, RetryLater) else None)


def _classify(error: BaseException | None) -> Outcome:
    match error:
        case None:
            return "succeeded"
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


def _refusal(reference: Reference, error: ContractError) -> Receipt:
    log.error("delivery.refused", event_id=str(reference.event_id), error=describe(error))
    return Receipt(reference.event_id, reference.subscription, reference.dispatch, "failed", describe(error))


def _receipt(delivery: Delivery, outcome: Outcome, error: str | None = None, after: float | None = None) -> Receipt:
    return Receipt(delivery.event.id, delivery.subscription, delivery.dispatch, outcome, error, after)


def _report(client: redis.Redis, receipts: Sequence[Receipt]) -> None:
    """Report, and go on if Redis is away: the lease and the handler's idempotency cover a lost receipt."""
    if not receipts:
        return
    try:
        report(client, receipts)
    except redis.RedisError as error:
        log.warning("receipts.lost", count=len(receipts), error=describe(error))
