"""The subscriber: turns a plain function into a Dramatiq actor.

The actor checks the contract, reports `started`, calls the function and reports how each event ended. It never
raises: a transient error is the relay's to schedule, and one bad event never takes its neighbours down.
Nothing is swallowed: each delivery of a message gets exactly one outcome.

There are three shapes of a function: for one delivery, for a group that is all or nothing, and for a group of which
each is settled by itself.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dramatiq
import redis
import structlog

from contracts import ContractError, Subscription
from messaging.consuming import outcomes
from messaging.consuming.broker import HeraldBroker
from messaging.consuming.outcomes import Settled
from messaging.errors import HandedBack, TransientError, Unsettled
from messaging.process.postgres_errors import is_database_at_fault
from messaging.wire import message
from messaging.wire.message import Delivery
from messaging.wire.receipts import Receipt, describe

Handler = Callable[[Delivery], None]
GroupHandler = Callable[[Sequence[Delivery]], None]
SettlingHandler = Callable[[Sequence[Delivery]], Iterator[Settled]]
Batch = Sequence[Mapping[str, Any]]
Actor = dramatiq.Actor[[str, Batch], None]

REPORT_EVERY = 0.25
"""Seconds after which outcomes of a long batch are reported before it ends."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("subscriber")


def subscribe(broker: HeraldBroker, subscription: Subscription, handler: Handler) -> Actor:
    """Declare the actor that calls `handler` once for each delivery."""
    return _declare(broker, subscription, lambda deliveries: _one_by_one(handler, deliveries, broker.stopping))


def subscribe_group(broker: HeraldBroker, subscription: Subscription, handler: GroupHandler) -> Actor:
    """Declare the actor that calls `handler` with all deliveries of a message at once.

    A group that raises is tried again one by one, so the handler must be idempotent and do all or nothing.
    """
    return _declare(broker, subscription, lambda deliveries: _as_group(handler, deliveries, broker.stopping))


def subscribe_settling(broker: HeraldBroker, subscription: Subscription, handler: SettlingHandler) -> Actor:
    """Declare the actor that calls `handler` with all deliveries of a message, of which it settles each by itself.

    It yields each delivery, in any order, with what became of it: None, or what `subscribe`'s handler would raise. When
    the worker stops it yields HandedBack for what it hasn't begun. What it leaves out is tried again.
    """
    return _declare(broker, subscription, lambda deliveries: _settling(handler, deliveries))


def _declare(
    broker: HeraldBroker,
    subscription: Subscription,
    handle: Callable[[Sequence[Delivery]], Iterator[Settled]],
) -> Actor:
    def consume(publisher: str, batch: Batch) -> None:
        opened, refused = _open(subscription.name, batch)
        with outcomes.reporting(broker.client, publisher) as tell:
            tell([*refused, *outcomes.begun(opened)])
            settled: list[Settled] = []
            reported = time.monotonic()
            for each in handle(opened):
                settled.append(each)
                if time.monotonic() - reported > REPORT_EVERY:
                    tell(outcomes.ended(settled))
                    settled, reported = [], time.monotonic()
            tell(outcomes.ended(settled))

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
            try:
                opened.append(message.open_item(subscription, item))
            except ContractError as error:
                refused.append(outcomes.refused(subscription, item, error))
        except message.MALFORMED as error:
            log.warning("message.not_ours", subscription=subscription, error=describe(error))
    return opened, refused


def _one_by_one(handler: Handler, deliveries: Iterable[Delivery], stopping: threading.Event) -> Iterator[Settled]:
    for delivery in deliveries:
        event = delivery.event
        with structlog.contextvars.bound_contextvars(
            event_id=str(event.id), correlation_id=event.correlationid, subscription=delivery.subscription
        ):
            yield delivery, HandedBack() if stopping.is_set() else _attempt(partial(handler, delivery))


def _as_group(handler: GroupHandler, deliveries: Sequence[Delivery], stopping: threading.Event) -> Iterator[Settled]:
    """Handle all at once; if one of them spoils it, one by one, but not if the world is out of order for all."""
    error = _attempt(partial(handler, deliveries))
    if error is None or len(deliveries) == 1 or _is_outage(error):
        yield from ((delivery, error) for delivery in deliveries)
    else:
        yield from _one_by_one(lambda one: handler([one]), deliveries, stopping)


def _settling(handler: SettlingHandler, deliveries: Sequence[Delivery]) -> Iterator[Settled]:
    """Take what the handler settles, once each; what it left out, or broke off before, ends as it ended."""
    left = {id(delivery): delivery for delivery in deliveries}
    end: BaseException = Unsettled()
    try:
        for delivery, error in handler(deliveries):
            if left.pop(id(delivery), None):
                yield delivery, error
    except GeneratorExit:
        raise
    except BaseException as error:  # as in _attempt
        end = error
    yield from ((delivery, end) for delivery in left.values())


def _is_outage(error: BaseException) -> bool:
    """Tell whether an error is no single event's fault, so that trying each alone would only wait as many times."""
    return is_database_at_fault(error) or isinstance(error, TransientError | redis.RedisError | OSError)


def _attempt(call: Callable[[], None]) -> BaseException | None:
    """Call, and return what was raised, a time limit or SystemExit like anything else: nobody else would act on it."""
    try:
        call()
    except BaseException as error:  # returned, classified and reported
        return error
    return None
