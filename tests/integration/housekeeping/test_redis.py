"""The names of relays that have ended are removed from Redis."""

import threading
from uuid import UUID

import pytest
import redis
from tests.integration.conftest import RelayParts
from tests.integration.housekeeping.conftest import MONTH, Housekeep, Old, events
from tests.integration.workers import RECEIPTS

from devstack.ports import free_port
from messaging.consuming.receipt_writer import report
from messaging.process.database import Pool
from messaging.relay.housekeep import Housekeeper
from messaging.relay.receipt_reader import GROUP, ReceiptReader
from messaging.wire.client import connect
from messaging.wire.receipt import Receipt
from users_api import PUBLISHER


def names(client: redis.Redis) -> set[bytes]:
    return {each["name"] for each in client.xinfo_consumers(RECEIPTS, GROUP)}


def test_the_name_of_an_ended_relay_is_removed_and_one_that_owes_stays(
    relay: RelayParts, readers: dict[str, ReceiptReader], housekeep: Housekeep
) -> None:
    housekeeper = housekeep(relay_gone=0.0)

    housekeeper.tidy()

    assert names(relay.redis) == {b"owing"}
    assert len(readers["done"].take_over(idle=0)[0]) == 1, "what it owes is still to be had"


def test_relays_that_were_heard_of_lately_keep_their_names(
    relay: RelayParts, readers: dict[str, ReceiptReader], housekeeper: Housekeeper
) -> None:
    housekeeper.tidy()

    assert names(relay.redis) == {b"done", b"owing"}


def test_a_relay_is_gone_after_an_hour(
    relay: RelayParts, housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def evaluate(*given: object) -> int:
        asked.append(given[-1])
        return 0

    monkeypatch.setattr(relay.redis, "eval", evaluate)
    housekeeper.tidy()

    assert asked == [3_600_000], "milliseconds"


def test_a_relay_whose_name_was_removed_reads_on(
    relay: RelayParts, readers: dict[str, ReceiptReader], housekeep: Housekeep
) -> None:
    housekeeper = housekeep(relay_gone=0.0)
    housekeeper.tidy()
    report(relay.redis, PUBLISHER, [Receipt(UUID(int=2), "audit_log", 1, "succeeded")])

    assert readers["done"].read(wait=1)[1] == [Receipt(UUID(int=2), "audit_log", 1, "succeeded")]


def test_while_redis_is_away_postgresql_is_tidied_all_the_same(
    relay: RelayParts, impatient_pool: Pool, old: Old
) -> None:
    old(1)
    nowhere = connect(f"redis://127.0.0.1:{free_port()}")

    Housekeeper(impatient_pool, nowhere, MONTH, threading.Event(), PUBLISHER).tidy()

    assert events(relay) == set()
