"""The subscriber: turns a plain function into a Dramatiq actor.

The actor checks each event's contract, reports `started`, calls the function, and reports how the attempt at each event
ended. It never raises: the relay schedules retries, and one bad event must not affect the others of its message. No
error is swallowed: each event of a message gets exactly one outcome.

The function is called for one event (`subscribe`), or for all events of a message, all or nothing (`subscribe_group`).
Both may be called more than once for an event, so they must be idempotent by a unique key in their own database. An
effect outside any database has no such key: declare it with `messaging.effects.subscribe_once`.
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
from messaging.consuming.outcomes import Report, Result
from messaging.errors import HandedBack, TransientError, Unavailable
from messaging.process.postgres_errors import is_database_at_fault
from messaging.wire import message
from messaging.wire.message import Attempt
from messaging.wire.receipt import Receipt, describe

Batch = Sequence[Mapping[str, Any]]
Handle = Callable[[Sequence[Attempt[DataT]]], Iterator[Result]]
Actor = dramatiq.Actor[[str, Batch], None]

REPORT_EVERY = 0.25
"""Outcomes of a long batch are reported at this interval, in seconds, and not only when the batch ends."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("subscriber")


def subscribe(
    broker: HeraldBroker, subscription: Subscription[DataT], handler: Callable[[Event[DataT]], None]
) -> Actor:
    """Declare the actor that calls `handler` with one event at a time.

    The handler returns if it succeeded, and raises one of `messaging.errors` or any other exception if it didn't. It
    must be idempotent.
    """
    return declare(broker, subscription, lambda attempts: one_by_one(handler, attempts, broker.stopping))


def subscribe_group(
    broker: HeraldBroker, subscription: Subscription[DataT], handler: Callable[[Sequence[Event[DataT]]], None]
) -> Actor:
    """Declare the actor that calls `handler` with all events of a message at once.

    If it raises because of one of the events, each event is tried alone. So the handler must be idempotent, and do all
    or nothing.
    """
    return declare(broker, subscription, lambda attempts: as_group(handler, attempts, broker.stopping))


def declare(
    broker: HeraldBroker,
    subscription: Subscription[DataT],
    handle: Handle[DataT],
    *,
    time_limit: float | None = None,
) -> Actor:
    """Declare the actor of a subscription.

    Args:
        broker: the broker of this worker process.
        subscription: its name is the actor's.
        handle: handles a message's attempts, and yields each of them once, with its error or None.
        time_limit: seconds after which Dramatiq interrupts `handle`; the subscription's, if None.
    """

    def consume(publisher: str, batch: Batch) -> None:
        with outcomes.reporting(broker.client, publisher) as report:
            work(subscription, handle, publisher, batch, report)

    actor = dramatiq.actor(
        broker=broker,
        actor_name=subscription.name,
        queue_name=subscription.queue,
        time_limit=1000 * (subscription.time_limit if time_limit is None else time_limit),
    )
    return actor(consume)


def work(
    subscription: Subscription[DataT], handle: Handle[DataT], publisher: str, batch: Batch, report: Report
) -> None:
    """Handle a batch of a publisher, and report how each event in it ended."""
    attempts, refused = _open(subscription, publisher, batch)
    report([*refused, *outcomes.begun(attempts)])
    results: list[Result] = []
    reported_at = time.monotonic()
    for result in handle(attempts):
        results.append(result)
        if time.monotonic() - reported_at > REPORT_EVERY:
            report(outcomes.ended(results))
            results, reported_at = [], time.monotonic()
    report(outcomes.ended(results))


def bound(attempt: Attempt[Any]) -> AbstractContextManager[None]:
    """Add the ids of an attempt to every log line of the block."""
    event = attempt.event
    return structlog.contextvars.bound_contextvars(
        event_id=str(event.id), correlation_id=event.correlationid, subscription=attempt.subscription
    )


def _open(
    subscription: Subscription[DataT], publisher: str, batch: Batch
) -> tuple[list[Attempt[DataT]], list[Receipt]]:
    """Read the events of a batch. Return their attempts, and receipts of events that break their contract."""
    attempts, refused = [], []
    for item in batch:
        try:
            try:
                attempts.append(message.open_item(subscription, item, publisher))
            except ContractError as error:
                refused.append(outcomes.refused(subscription.name, item, error))
        except message.MALFORMED as error:
            log.warning("message.not_ours", subscription=subscription.name, error=describe(error))
    return attempts, refused


def one_by_one(
    handler: Callable[[Event[DataT]], None], attempts: Iterable[Attempt[DataT]], stopping: threading.Event
) -> Iterator[Result]:
    """Handle attempts one after another, until the worker stops or the handler raises Unavailable."""
    end: BaseException | None = None
    for attempt in attempts:
        if end is None and stopping.is_set():
            end = HandedBack()
        began = time.monotonic()
        with bound(attempt):
            error = end or _error_of(partial(handler, attempt.event))
        if isinstance(error, Unavailable):
            end = error
        yield attempt.begun(began), error


def as_group(
    handler: Callable[[Sequence[Event[DataT]]], None], attempts: Sequence[Attempt[DataT]], stopping: threading.Event
) -> Iterator[Result]:
    """Handle all attempts at once. If that fails because of one event, handle them one by one."""
    began = time.monotonic()
    error = _error_of(partial(handler, [attempt.event for attempt in attempts]))
    if error is None or len(attempts) == 1 or _is_outage(error):
        yield from ((attempt.begun(began), error) for attempt in attempts)
    else:
        yield from one_by_one(lambda event: handler([event]), attempts, stopping)


def _is_outage(error: BaseException) -> bool:
    """Return whether an error isn't due to one event, so that each event alone would meet it again."""
    return is_database_at_fault(error) or isinstance(error, TransientError | redis.RedisError | OSError)


def _error_of(call: Callable[[], None]) -> BaseException | None:
    """Call `call`, and return what it raised; a time limit or SystemExit too, because no caller would act on them."""
    try:
        call()
    except BaseException as error:  # returned, classified and reported
        return error
    return None
