"""Deliver events to a handler, and return what the relay would learn.

The events pass through the same message format, contract check, subscriber and receipts as in a worker. Nothing
interrupts a handler that overruns its time limit, and nothing retries: to try again, deliver the event once more.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from contracts import Event, Subscription
from contracts.envelope import DataT
from messaging.consuming.subscriber import Batch, Handle, as_group, one_by_one, work
from messaging.effects.once import Once
from messaging.testing.ledger import MemoryLedger
from messaging.wire import message
from messaging.wire.receipt import Outcome, Receipt

_MESSAGE_ID = "test/1"

State = Literal["succeeded", "retrying", "failed", "uncertain", "pending"]

_STATES: Mapping[Outcome, State] = {
    "succeeded": "succeeded",
    "retry": "retrying",
    "failed": "failed",
    "uncertain": "uncertain",
    "handed_back": "pending",
}


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a delivery.

    `state`: the delivery's next state; `retrying` assumes that its retry policy has attempts left.
    `error`: the delivery's last error as operators see it, such as "TransientError: the provider is busy".
    `after`: seconds until the next attempt, if the handler said so; otherwise the retry policy decides.
    `reference`: what a handler of `subscribe_once` returned.
    """

    state: State
    error: str | None = None
    after: float | None = None
    reference: str | None = None


def deliver(
    subscription: Subscription[DataT], handler: Callable[[Event[DataT]], None], event: Event[DataT]
) -> Delivered:
    """Deliver one event to a handler for `subscribe`."""
    return _delivered(subscription, partial(one_by_one, handler, stopping=threading.Event()), [event])[0]


def deliver_group(
    subscription: Subscription[DataT], handler: Callable[[Sequence[Event[DataT]]], None], events: Sequence[Event[DataT]]
) -> list[Delivered]:
    """Deliver events in one message to a handler for `subscribe_group`; return what became of each, in order."""
    return _delivered(subscription, partial(as_group, handler, stopping=threading.Event()), events)


def deliver_once(
    subscription: Subscription[DataT],
    handler: Callable[[Event[DataT], str], str | None],
    event: Event[DataT],
    *,
    ledger: MemoryLedger | None = None,
    generation: int = 0,
) -> Delivered:
    """Deliver one event to a handler for `subscribe_once`.

    `ledger`: remembers effects from one delivery to the next; a new one, if None.
    `generation`: how often an operator has retried the delivery.
    """
    ledger = MemoryLedger() if ledger is None else ledger
    once = Once(threading.Event(), subscription, handler, ledger)
    [delivered] = _delivered(subscription, once.results, [event], generation, ledger)
    return delivered


def _delivered(
    subscription: Subscription[DataT],
    handle: Handle[DataT],
    events: Sequence[Event[DataT]],
    generation: int = 0,
    ledger: MemoryLedger | None = None,
) -> list[Delivered]:
    receipts: list[Receipt] = []
    work(subscription, handle, "test", _sent(subscription, events, generation), receipts.extend)
    ended = {receipt.event_id: receipt for receipt in receipts if receipt.outcome != "started"}
    return [_seen(ended[event.id], ledger) for event in events]


def _sent(subscription: Subscription[DataT], events: Sequence[Event[DataT]], generation: int) -> Batch:
    """Return the batch of a message as a worker receives it, encoded and decoded."""
    items = [message.Item(1, generation, event.model_dump_json()) for event in events]
    encoded = message.encode(_MESSAGE_ID, subscription, items)
    batch: Batch = message.read(subscription.queue, _MESSAGE_ID.encode(), encoded).args[1]
    return batch


def _seen(receipt: Receipt, ledger: MemoryLedger | None) -> Delivered:
    effect = ledger.effects.get((receipt.event_id, receipt.subscription)) if ledger else None
    error = None if receipt.outcome == "handed_back" else receipt.error
    return Delivered(_STATES[receipt.outcome], error, receipt.after, effect.reference if effect else None)
