"""The subscriber: turns a plain function into a Dramatiq actor.

The actor checks the contract, reports `started`, calls the function and reports how each event ended. It never
raises: a transient error is the relay's to schedule, and one bad event never takes its neighbours down.
Nothing is swallowed: each event of a message gets exactly one outcome.

A function is called for one event (`subscribe`), or for all events of a message, all or nothing (`subscribe_group`).
Both may be called more than once for an event, so they are idempotent by a unique key of their own database. What has
no such key, because its effect is outside any database, is declared with `messaging.effects.subscribe_once`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import dramatiq
import redis
import structlog

from contracts import ContractError, Event, Subscription
from contracts.envelope import DataT
from messaging.consuming import outcomes
from messaging.consuming.broker import HeraldBroker
from messaging.consuming.outcomes import Result
from messaging.errors import HandedBack, TransientError, Unavailable
from messaging.process.postgres_errors import is_database_at_fault
from messaging.wire import message
from messaging.wire.message import Attempt
from messaging.wire.receipt import Receipt, describe

Batch = Sequence[Mapping[str, Any]]
Actor = dramatiq.Actor[[str, Batch], None]

REPORT_EVERY = 0.25
"""Seconds after which outcomes of a long batch are reported before it ends."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("subscriber")


def subscribe(
    broker: HeraldBroker, subscription: Subscription[DataT], handler: Callable[[Event[DataT]], None]
) -> Actor:
    """Declare the actor that calls `handler` once for each event."""
    return declare(broker, subscription, lambda attempts: _one_by_one(handler, attempts, broker.stopping))


def subscribe_group(
    broker: HeraldBroker, subscription: Subscription[DataT], handler: Callable[[Sequence[Event[DataT]]], None]
) -> Actor:
    """Declare the actor that calls `handler` with all events of a message at once.

    A group that raises is tried again one by one, so the handler must be idempotent and do all or nothing.
    """
    return declare(broker, subscription, lambda attempts: _as_group(handler, attempts, broker.stopping))


def declare(
    broker: HeraldBroker,
    subscription: Subscription[DataT],
    handle: Callable[[Sequence[Attempt[DataT]]], Iterator[Result]],
    *,
    time_limit: float | None = None,
) -> Actor:
    """Declare the actor of a subscription. `handle` yields each attempt of a message once, with its error or None.

    `time_limit`: seconds after which Dramatiq interrupts it; the subscription's, if None.
    """

    def consume(publisher: str, batch: Batch) -> None:
        attempts, refused = _open(subscription, batch)
        with outcomes.reporting(broker.client, publisher) as report:
            report([*refused, *outcomes.begun(attempts)])
            results: list[Result] = []
            reported_at = time.monotonic()
            for result in handle(attempts):
                results.append(result)
                if time.monotonic() - reported_at > REPORT_EVERY:
                    report(outcomes.ended(results))
                    results, reported_at = [], time.monotonic()
            report(outcomes.ended(results))

    actor = dramatiq.actor(
        broker=broker,
        actor_name=subscription.name,
        queue_name=subscription.queue,
        time_limit=1000 * (subscription.time_limit if time_limit is None else time_limit),
    )
    return actor(consume)


def bound(attempt: Attempt[Any]) -> AbstractContextManager[None]:
    """Put what identifies an attempt on every log line of the block."""
    event = attempt.event
    return structlog.contextvars.bound_contextvars(
        event_id=str(event.id), correlation_id=event.correlationid, subscription=attempt.subscription
    )


def _open(subscription: Subscription[DataT], batch: Batch) -> tuple[list[Attempt[DataT]], list[Receipt]]:
    """Read the events; each that breaks its contract is refused at once, for good."""
    attempts, refused = [], []
    for item in batch:
        try:
            try:
                attempts.append(message.open_item(subscription, item))
            except ContractError as error:
                refused.append(outcomes.refused(subscription.name, item, error))
        except message.MALFORMED as error:
            log.warning("message.not_ours", subscription=subscription.name, error=describe(error))
    return attempts, refused


def _one_by_one(
    handler: Callable[[Event[DataT]], None], attempts: Iterable[Attempt[DataT]], stopping: threading.Event
) -> Iterator[Result]:
    """Handle one after another, until the worker stops or what the handler talks to is away for all."""
    end: BaseException | None = None
    for attempt in attempts:
        if end is None and stopping.is_set():
            end = HandedBack()
        with bound(attempt):
            error = end or _error_of(partial(handler, attempt.event))
            if isinstance(error, Unavailable):
                end = error
            yield attempt, error


def _as_group(
    handler: Callable[[Sequence[Event[DataT]]], None], attempts: Sequence[Attempt[DataT]], stopping: threading.Event
) -> Iterator[Result]:
    """Handle all at once; if that fails because of one of them, one by one."""
    error = _error_of(partial(handler, [attempt.event for attempt in attempts]))
    if error is None or len(attempts) == 1 or _is_outage(error):
        yield from ((attempt, error) for attempt in attempts)
    else:
        yield from _one_by_one(lambda event: handler([event]), attempts, stopping)


def _is_outage(error: BaseException) -> bool:
    """Tell whether an error is not due to one event, so that each alone would meet it again."""
    return is_database_at_fault(error) or isinstance(error, TransientError | redis.RedisError | OSError)


def _error_of(call: Callable[[], None]) -> BaseException | None:
    """Call, and return what was raised; a time limit or SystemExit too, because nothing above would act on it."""
    try:
        call()
    except BaseException as error:  # returned, classified and reported
        return error
    return None
