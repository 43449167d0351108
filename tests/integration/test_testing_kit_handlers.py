"""A handler has the same fate in the kit as with a real relay, Redis, worker and ledger."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, Subscription, UserRegistered
from devstack.redis_server import RedisServer
from messaging import (
    HandedBack,
    HeraldBroker,
    PermanentError,
    RetryLater,
    TransientError,
    Unavailable,
    UncertainError,
    subscribe,
    subscribe_group,
    subscribe_once,
)
from messaging.effects import Ledger, Uncertain
from messaging.testing import Delivered, MemoryLedger, deliver, deliver_group, deliver_once
from messaging.wire.receipt import Receipt

from .conftest import RelayParts
from .workers import Publish, working

pytestmark = pytest.mark.usefixtures("quick_shutdown")

ENDS: list[tuple[BaseException | None, str]] = [
    (None, "succeeded"),
    (PermanentError("never"), "failed"),
    (UncertainError("who knows"), "uncertain"),
    (RetryLater("not now", after=600), "retrying"),
    (TransientError("later"), "retrying"),
    (ValueError("a bug"), "retrying"),
    (SystemExit("a bug too"), "retrying"),
    (HandedBack(), "pending"),
]
"""What a handler does with the first user's event, the second's …, and the state in which that leaves the delivery."""

Fate = tuple[str, str | None, int]
"""Of a delivery: its state, its error, and in how many minutes it is tried again."""


@dataclass
class Real:
    """The real parts."""

    relay: RelayParts
    publish: Publish
    redis_url: str

    def fates(
        self, subscription: Subscription[UserRegistered], declare: Callable[[HeraldBroker], object]
    ) -> tuple[list[Event[UserRegistered]], list[Fate]]:
        """Publish an event for each of ENDS, let a worker handle them in one message, and see what became of each."""
        events = self.publish(len(ENDS))
        self.relay.dispatcher.dispatch()
        broker = HeraldBroker(self.redis_url)
        declare(broker)
        receipts: list[Receipt] = []
        with working(broker):
            while sum(receipt.outcome != "started" for receipt in receipts) < len(ENDS):
                receipts += self.relay.reader.read(wait=1)[1]
        self.relay.applier.apply(receipts)
        return events, [self.fate(event, subscription) for event in events]

    def fate(self, event: Event[UserRegistered], subscription: Subscription[UserRegistered]) -> Fate:
        row = self.relay.row(event.id, subscription.name)
        return row["state"], row["last_error"], round((row["due_in"] or 0.0) / 60)


@pytest.fixture
def real(relay: RelayParts, publish_users: Publish, redis_server: RedisServer) -> Real:
    relay.reader.read(wait=0.001)
    return Real(relay, publish_users, redis_server.url)


def fate(delivered: Delivered) -> Fate:
    return delivered.state, delivered.error, round((delivered.after or 0.0) / 60)


def handle(event: Event[UserRegistered]) -> None:
    error, _ = ENDS[event.data.user_id - 1]
    if error:
        raise error


def handle_group(events: Sequence[Event[UserRegistered]]) -> None:
    if len(events) > 1:
        raise ValueError("one of them is bad")
    handle(events[0])


def handle_once(event: Event[UserRegistered], key: str) -> str:
    handle(event)
    return f"reference of {key}"


def test_subscribe(real: Real) -> None:
    events, fates = real.fates(AUDIT_LOG, lambda broker: subscribe(broker, AUDIT_LOG, handle))

    delivered = [deliver(AUDIT_LOG, handle, event) for event in events]

    assert [each.state for each in delivered] == [state for _, state in ENDS]
    assert list(map(fate, delivered)) == fates


def test_subscribe_when_what_the_handler_talks_to_is_away(real: Real) -> None:
    def away(event: Event[UserRegistered]) -> None:
        raise Unavailable("no route to host")

    events, fates = real.fates(AUDIT_LOG, lambda broker: subscribe(broker, AUDIT_LOG, away))

    assert [fate(deliver(AUDIT_LOG, away, event)) for event in events] == fates


def test_subscribe_group(real: Real) -> None:
    events, fates = real.fates(AUDIT_LOG, lambda broker: subscribe_group(broker, AUDIT_LOG, handle_group))

    delivered = deliver_group(AUDIT_LOG, handle_group, events)

    assert [each.state for each in delivered] == [state for _, state in ENDS]
    assert list(map(fate, delivered)) == fates


@pytest.mark.parametrize("uncertain", ["resend", "hold"])
def test_subscribe_once(real: Real, effects_database: str, uncertain: Uncertain) -> None:
    ledger = Ledger(effects_database, limit=60, uncertain=uncertain)
    events, fates = real.fates(
        WELCOME_EMAIL, lambda broker: subscribe_once(broker, WELCOME_EMAIL, handle_once, ledger=ledger)
    )

    memory = MemoryLedger(limit=60, uncertain=uncertain)
    delivered = [deliver_once(WELCOME_EMAIL, handle_once, event, ledger=memory) for event in events]

    assert list(map(fate, delivered)) == fates
    assert [each.reference for each in delivered][:2] == [f"reference of welcome_email.{events[0].id}", None]
