"""How the relay hears what consumers report."""

import threading
from collections.abc import Iterable, Iterator
from uuid import UUID

import pytest
import redis

from devstack.redis_server import RedisServer
from messaging.consuming.receipt_writer import report
from messaging.relay.apply import Applier
from messaging.relay.receipt_reader import ReceiptReader
from messaging.relay.receive import Receiver
from messaging.wire.receipt import Outcome, Receipt
from messaging.wire.waits import Waits
from users_api import PUBLISHER

from .conftest import RelayParts
from .workers import RECEIPTS, readers


def news(outcome: Outcome, number: int = 1) -> Receipt:
    return Receipt(UUID(int=number), "audit_log", 1, outcome)


class Meanwhile(threading.Event):
    """A `stop` that lets something happen whenever it is waited for."""

    def __init__(self, client: redis.Redis, *receipts: Receipt) -> None:
        super().__init__()
        self._client = client
        self._receipts = receipts

    def wait(self, timeout: float | None = None) -> bool:
        if self._receipts:
            report(self._client, PUBLISHER, self._receipts)
        return self.is_set()


class Applied(Applier):
    """Notes what is applied at once."""

    def __init__(self, relay: RelayParts) -> None:
        super().__init__(relay.pool, [])
        self.groups: list[list[Receipt]] = []

    def apply(self, receipts: Iterable[Receipt]) -> None:
        self.groups.append(list(receipts))


@pytest.fixture
def waits(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[Waits]:
    made = Waits(redis_server.url, timeout=5)
    ReceiptReader(redis_client, "test", PUBLISHER).read(wait=0.001)  # makes the group
    yield made
    made.close()


def test_what_is_reported_in_a_moment_is_applied_at_once(
    relay: RelayParts, waits: Waits, redis_client: redis.Redis
) -> None:
    applied = Applied(relay)
    receiver = Receiver(waits, *readers(waits, redis_client), applied, Meanwhile(redis_client, news("succeeded")))
    report(redis_client, PUBLISHER, [news("started")])

    receiver.receive(wait=1)

    assert applied.groups == [[news("started"), news("succeeded")]]
    assert redis_client.xlen(RECEIPTS) == 0


def test_silence_costs_no_transaction(relay: RelayParts, waits: Waits, redis_client: redis.Redis) -> None:
    applied = Applied(relay)
    receiver = Receiver(waits, *readers(waits, redis_client), applied, threading.Event())

    receiver.receive(wait=0.001)
    receiver.take_over(idle=0)

    assert applied.groups == []


def test_what_cannot_be_applied_stays_in_the_stream(
    relay: RelayParts, waits: Waits, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = Applied(relay)
    receiver = Receiver(waits, *readers(waits, redis_client), applied, Meanwhile(redis_client))
    report(redis_client, PUBLISHER, [news("succeeded")])

    with monkeypatch.context() as patched:
        patched.setattr(applied, "apply", lambda receipts: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            receiver.receive(wait=1)

    receiver.take_over(idle=0)
    assert applied.groups == [[news("succeeded")]]


def test_a_relay_that_is_told_to_stop_waits_for_no_more(
    relay: RelayParts, waits: Waits, redis_client: redis.Redis
) -> None:
    waits.end(redis_client)

    Receiver(waits, *readers(waits, redis_client), Applied(relay), threading.Event()).receive(wait=3)  # it returns
