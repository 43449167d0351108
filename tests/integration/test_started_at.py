"""`started_at` is when the handler began, whenever its receipt is sent, read or applied, and whatever clocks show."""

import json
import threading
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from tests.conftest import user_registered
from tests.integration.conftest import RelayParts

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, UserRegistered
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, subscribe
from messaging.consuming.subscriber import as_group, one_by_one
from messaging.effects.once import Once
from messaging.relay.receipt_reader import ReceiptReader
from messaging.testing.ledger import MemoryLedger
from messaging.wire import layout
from messaging.wire.message import Attempt
from messaging.wire.receipt import Receipt, decode, encode
from users_api import PUBLISHER

RECEIPTS = layout.receipts_key(PUBLISHER)


def age_of_start(relay: RelayParts, event_id: UUID) -> float:
    """Return how many seconds before its last change a delivery began."""
    row = relay.row(event_id)
    changed: timedelta = row["finished_at"] - row["started_at"]
    return changed.total_seconds()


def queue_long_ago(relay: RelayParts) -> None:
    relay.execute(
        "UPDATE deliveries SET created_at = now() - interval '2 hours', queued_at = now() - interval '1 hour'"
    )


@pytest.mark.parametrize("shown_as_running", [True, False])
@pytest.mark.parametrize("outcome", ["succeeded", "failed", "uncertain"])
def test_a_final_receipt_says_when_its_handler_began(
    relay: RelayParts, queued: UUID, outcome: Any, shown_as_running: bool
) -> None:
    queue_long_ago(relay)
    if shown_as_running:  # since the message began: another of its deliveries came first
        relay.tell(queued, "started", began=time.monotonic() - 300)

    relay.tell(queued, outcome, began=time.monotonic() - 100)

    assert age_of_start(relay, queued) == pytest.approx(100, abs=1)


def test_an_attempt_that_is_tried_again_says_when_it_began(relay: RelayParts, queued: UUID) -> None:
    queue_long_ago(relay)
    relay.execute("UPDATE deliveries SET attempts = 2")

    relay.tell(queued, "retry", began=time.monotonic() - 100)

    assert age_of_start(relay, queued) == pytest.approx(100, abs=1)


def test_running_is_shown_since_the_handler_began(relay: RelayParts, queued: UUID) -> None:
    queue_long_ago(relay)

    relay.tell(queued, "started", began=time.monotonic() - 100)
    relay.tell(queued, "succeeded")  # of an older worker: it doesn't say when

    assert age_of_start(relay, queued) == pytest.approx(100, abs=1)


def test_no_handler_began_before_its_delivery_was_queued(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "succeeded", began=time.monotonic() - 100)

    row = relay.row(queued)
    assert row["started_at"] == row["queued_at"]


def test_a_late_success_of_an_older_dispatch_began_before_the_newer_one_was_queued(
    relay: RelayParts, queued: UUID
) -> None:
    queue_long_ago(relay)
    relay.execute("UPDATE deliveries SET dispatch = 2, queued_at = now()")

    relay.tell(queued, "succeeded", dispatch=1, began=time.monotonic() - 100)

    assert age_of_start(relay, queued) == pytest.approx(100, abs=1)


def test_the_time_that_a_receipt_lay_in_redis_counts(
    relay: RelayParts, queued: UUID, redis_client: redis.Redis
) -> None:
    """No relay ran for ten minutes. (Redis' own clock dates the entry.)"""
    queue_long_ago(relay)
    relay.reader.read(wait=0.001)
    seconds, _ = redis_client.time()
    began_before_sending = Receipt(queued, "audit_log", 1, "succeeded", began=time.monotonic() - 5)
    redis_client.xadd(RECEIPTS, {"receipts": encode([began_before_sending])}, id=f"{(seconds - 600) * 1000}-0")

    relay.applier.apply(relay.reader.read(wait=1)[1])

    assert age_of_start(relay, queued) == pytest.approx(605, abs=2)


def test_a_redis_that_was_set_back_makes_nothing_begin_in_the_future(
    relay: RelayParts, queued: UUID, redis_client: redis.Redis
) -> None:
    relay.reader.read(wait=0.001)
    seconds, _ = redis_client.time()
    redis_client.xadd(
        RECEIPTS, {"receipts": encode([Receipt(queued, "audit_log", 1, "succeeded")])}, id=f"{(seconds + 600) * 1000}-0"
    )

    relay.applier.apply(relay.reader.read(wait=1)[1])

    row = relay.row(queued)
    assert row["queued_at"] <= row["started_at"] <= row["finished_at"]


@pytest.mark.parametrize("outcome", ["started", "succeeded", "retry"])
def test_a_receipt_of_an_older_worker_still_works(relay: RelayParts, queued: UUID, outcome: str) -> None:
    group = {"subscription": "audit_log", "outcome": outcome, "event_ids": [str(queued)], "dispatches": [1]}

    relay.applier.apply([receipt for receipt in decode(json.dumps([group]).encode()) if receipt])

    row = relay.row(queued)
    assert row["state"] == {"started": "running", "retry": "retrying"}.get(outcome, outcome)
    assert row["started_at"] >= row["queued_at"]


@pytest.mark.parametrize("ms_ago", [-1, 2**40, 0.5, "1", True, [1], None, {}])
def test_nonsense_about_the_beginning_is_left_out_and_the_outcome_kept(ms_ago: object) -> None:
    event_id = str(user_registered(1).id)
    single = {"event_id": event_id, "subscription": "audit_log", "dispatch": 1, "outcome": "succeeded"}
    group = {"subscription": "audit_log", "outcome": "succeeded", "event_ids": [event_id] * 2, "dispatches": [1, 1]}
    entry = json.dumps([each | {"ms_ago": ms_ago} for each in (single, group)]).encode()

    assert [(receipt and receipt.outcome, receipt and receipt.began) for receipt in decode(entry)] == [
        ("succeeded", None)
    ] * 3


def test_receipts_of_a_group_keep_their_own_beginnings() -> None:
    now, event_id = time.monotonic(), user_registered(1).id
    receipts = [Receipt(event_id, "audit_log", number, "succeeded", began=now - number) for number in (1, 2, 3)]

    read = list(decode(encode(receipts).encode(), now))

    assert [receipt and receipt.began for receipt in read] == pytest.approx([now - 1, now - 2, now - 3], abs=0.1)


def test_handlers_one_after_another_begin_one_after_another() -> None:
    attempts = [Attempt(user_registered(number), "audit_log", 1, 0) for number in (1, 2)]
    called: list[float] = []

    results = list(one_by_one(lambda _: called.append(time.monotonic()), attempts, threading.Event()))

    began = [attempt.began or 0 for attempt, _ in results]
    assert began[0] <= called[0] <= began[1] <= called[1]


def test_a_group_begins_together() -> None:
    attempts = [Attempt(user_registered(number), "audit_log", 1, 0) for number in (1, 2)]
    before = time.monotonic()

    results = list(as_group(lambda _: None, attempts, threading.Event()))

    began = {attempt.began or 0 for attempt, _ in results}
    assert len(began) == 1
    assert before <= began.pop() <= time.monotonic()


def test_mails_that_are_claimed_together_begin_one_after_another() -> None:
    attempts = [Attempt(user_registered(number), "welcome_email", 1, 0) for number in (1, 2)]
    called: list[float] = []

    def send(event: Event[UserRegistered], key: str) -> None:
        called.append(time.monotonic())

    results = list(Once(threading.Event(), WELCOME_EMAIL, send, MemoryLedger()).results(attempts))

    began = [attempt.began or 0 for attempt, _ in results]
    assert began[0] <= called[0] <= began[1] <= called[1]


def test_a_worker_reports_when_its_handler_was_called(
    redis_server: RedisServer, redis_client: redis.Redis, relay: RelayParts, queued: UUID
) -> None:
    """Its handler takes a while, and the receipt is written when it has returned."""
    reader = ReceiptReader(redis_client, "test", PUBLISHER)
    reader.read(wait=0.001)
    broker = HeraldBroker(redis_server.url)
    actor = subscribe(broker, AUDIT_LOG, lambda _: time.sleep(0.3))
    [[reference]] = relay.messages("auditor")
    event = user_registered(1).model_copy(update={"id": reference.event_id})

    actor.fn(PUBLISHER, [{"dispatch": 1, "generation": 0, "event": json.loads(event.model_dump_json())}])
    broker.client.close()

    queue_long_ago(relay)
    relay.applier.apply(reader.read(wait=1)[1])
    assert age_of_start(relay, queued) >= 0.3
