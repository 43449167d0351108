"""A plain function becomes a consumer: real Dramatiq worker threads, real Redis, a real relay beside them."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import redis
from dramatiq.middleware import TimeLimitExceeded
from structlog.testing import capture_logs
from tests.conftest import user_registered
from tests.patience import PATIENCE, until

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, EventData, UserRegistered
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
)
from messaging.consuming.outcomes import Result
from messaging.consuming.subscriber import _is_outage, declare
from messaging.relay.receipt_reader import ReceiptReader
from messaging.wire.message import Attempt
from messaging.wire.receipt import Receipt
from users_api import PUBLISHER

from .conftest import RelayParts
from .workers import RECEIPTS, Consume, Publish, states, working

pytestmark = pytest.mark.usefixtures("quick_shutdown")


def test_events_are_handled_and_reported(relay: RelayParts, publish_users: Publish, consume: Consume) -> None:
    heard: list[Event[EventData]] = []
    consume(AUDIT_LOG, heard.append)

    events = publish_users(50)

    until(lambda: states(relay) == {"succeeded": 50})
    assert sorted(event.id for event in heard) == sorted(event.id for event in events)


def test_each_subscription_has_its_own_fate(relay: RelayParts, publish_users: Publish, consume: Consume) -> None:
    def refuse(event: Event[UserRegistered]) -> None:
        raise PermanentError("no such mailbox")

    consume(WELCOME_EMAIL, refuse)
    consume(AUDIT_LOG, lambda _: None)

    [event] = publish_users(1)

    until(lambda: states(relay) == {"succeeded": 1} and states(relay, "welcome_email") == {"failed": 1})
    assert relay.row(event.id, "welcome_email")["last_error"] == "PermanentError: no such mailbox"
    assert relay.row(event.id, "welcome_email")["attempts"] == 1


def test_a_transient_error_is_tried_again_until_it_works(
    relay: RelayParts, publish_users: Publish, consume: Consume
) -> None:
    attempts: list[str] = []

    def work(event: Event[UserRegistered]) -> None:
        attempts.append(event.subject)
        if len(attempts) < 3:
            raise ConnectionError("away")

    consume(AUDIT_LOG, work)

    [event] = publish_users(1)

    until(lambda: states(relay) == {"succeeded": 1})
    assert attempts == [event.subject] * 3
    assert relay.row(event.id)["attempts"] == 3


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PermanentError("never"), "failed"),
        (UncertainError("who knows"), "uncertain"),
        (RetryLater("not now", after=600), "retrying"),
        (TimeLimitExceeded("too slow"), "failed"),  # three times, and its attempts are used up
        (ValueError("a bug"), "failed"),
        (SystemExit("a bug too"), "failed"),
        (RetryLater("never, it seems", after=float("inf")), "retrying"),
    ],
)
def test_what_a_handler_raises_decides_and_no_exception_is_swallowed(
    relay: RelayParts, publish_users: Publish, consume: Consume, error: BaseException, state: str
) -> None:
    def work(event: Event[UserRegistered]) -> None:
        raise error

    consume(AUDIT_LOG, work)

    [event] = publish_users(1)

    until(lambda: states(relay) == {state: 1})
    assert str(error) in relay.row(event.id)["last_error"]


def test_one_bad_event_in_a_batch_holds_up_none_of_the_others(
    relay: RelayParts, publish_users: Publish, consume: Consume
) -> None:
    def work(event: Event[UserRegistered]) -> None:
        if event.subject == "users/7":
            raise PermanentError("this one")

    events = publish_users(20)
    consume(AUDIT_LOG, work)

    until(lambda: states(relay) == {"succeeded": 19, "failed": 1})
    assert relay.row(events[6].id)["state"] == "failed"


def test_what_the_handler_talks_to_is_asked_once_when_it_is_away_for_all(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, running_relay: None
) -> None:
    asked: list[str] = []

    def work(event: Event[UserRegistered]) -> None:
        asked.append(event.subject)
        if len(asked) == 1:
            raise Unavailable("no route to host")

    publish_users(5)
    until(lambda: states(relay) == {"queued": 5})
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, AUDIT_LOG, work)
    with working(broker):
        until(lambda: states(relay) == {"succeeded": 5})

    assert len(asked) == 6, "once, and then for each"


def test_a_group_that_fails_is_tried_one_by_one(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis, running_relay: None
) -> None:
    sizes = []

    def work(events: Sequence[Event[UserRegistered]]) -> None:
        sizes.append(len(events))
        if any(event.subject == "users/3" for event in events):
            raise PermanentError("this one")

    publish_users(5)
    until(lambda: states(relay) == {"queued": 5})
    broker = HeraldBroker(redis_server.url)
    subscribe_group(broker, AUDIT_LOG, work)
    with working(broker):
        until(lambda: states(relay) == {"succeeded": 4, "failed": 1})

    assert sizes == [5, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        ("jsonb_set(envelope::jsonb, '{dataschema}', '\"urn:herald:user_registered:99\"')", "UnknownEventVersion"),
        ("jsonb_set(envelope::jsonb, '{data,user_id}', '\"not a number\"')", "InvalidEvent"),
        ("envelope::jsonb - 'data'", "InvalidEvent"),
    ],
)
def test_an_event_that_breaks_its_contract_is_parked_and_its_neighbours_flow(
    relay: RelayParts, publish_users: Publish, consume: Consume, spoil: str, error: str
) -> None:
    events = publish_users(3, available_at=datetime.now(UTC) + timedelta(hours=1))
    relay.execute(f"UPDATE events SET envelope = ({spoil})::json WHERE id = %s", events[1].id)
    consume(AUDIT_LOG, lambda _: None)

    relay.age_retries()

    until(lambda: states(relay) == {"succeeded": 2, "failed": 1})
    assert relay.row(events[1].id)["last_error"].startswith(error)
    assert relay.row(events[1].id)["attempts"] == 1


def test_slow_work_is_shown_as_running(relay: RelayParts, publish_users: Publish, consume: Consume) -> None:
    finish = threading.Event()

    def work(event: Event[UserRegistered]) -> None:
        finish.wait(PATIENCE)

    consume(AUDIT_LOG, work)

    publish_users(1)

    until(lambda: states(relay) == {"running": 1})
    finish.set()
    until(lambda: states(relay) == {"succeeded": 1})


def test_with_redis_away_at_the_end_of_an_attempt_the_worker_goes_on(
    relay: RelayParts, publish_users: Publish, consume: Consume, redis_client: redis.Redis
) -> None:
    handled: Counter[str] = Counter()

    def work(event: Event[UserRegistered]) -> None:
        handled[event.subject] += 1
        if event.subject == "users/1":
            redis_client.flushall()

    consume(AUDIT_LOG, work)
    publish_users(3)

    until(lambda: states(relay) == {"succeeded": 3})


def test_a_group_is_not_taken_apart_when_the_world_is_out_of_order(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis, running_relay: None
) -> None:
    sizes: list[int] = []

    def work(events: Sequence[Event[UserRegistered]]) -> None:
        sizes.append(len(events))
        if len(sizes) == 1:
            raise psycopg.OperationalError("the database is away")

    publish_users(5)
    until(lambda: states(relay) == {"queued": 5})
    broker = HeraldBroker(redis_server.url)
    subscribe_group(broker, AUDIT_LOG, work)
    with working(broker):
        until(lambda: states(relay) == {"succeeded": 5})

    assert sizes[0] == 5
    assert sum(sizes) == 10, "each once more, not each at once alone and then again"


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (psycopg.OperationalError("no route to host"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.ConnectionFailure(), True),
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.errors.DeadlockDetected(), False),
        (psycopg.errors.UniqueViolation(), False),
        (TransientError("the mail server is busy"), True),
        (redis.TimeoutError(), True),
        (ConnectionRefusedError(), True),
        (PermanentError("this one"), False),
        (ValueError("a bug"), False),
    ],
)
def test_an_outage_is_told_from_an_event_that_spoils_its_group(error: Exception, outage: bool) -> None:
    assert _is_outage(error) is outage


def test_a_group_of_one_that_fails_is_not_tried_twice(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis, running_relay: None
) -> None:
    sizes: list[int] = []

    def work(events: Sequence[Event[UserRegistered]]) -> None:
        sizes.append(len(events))
        raise PermanentError("this one")

    broker = HeraldBroker(redis_server.url)
    subscribe_group(broker, AUDIT_LOG, work)
    with working(broker):
        publish_users(1)
        until(lambda: states(relay) == {"failed": 1})

    assert sizes == [1]


def test_in_a_long_batch_what_is_done_is_reported_before_the_rest(
    relay: RelayParts, publish_users: Publish, consume: Consume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.consuming.subscriber.REPORT_EVERY", 0.0)
    finish = threading.Event()

    def work(event: Event[UserRegistered]) -> None:
        if event.subject == "users/3":
            finish.wait(PATIENCE)

    events = publish_users(3, available_at=datetime.now(UTC) + timedelta(hours=1))
    for minutes, event in enumerate(events):
        relay.execute(
            "UPDATE deliveries SET due_at = now() - make_interval(mins => %s) WHERE event_id = %s",
            *(10 - minutes, event.id),
        )
    consume(AUDIT_LOG, work)

    until(lambda: states(relay)["running"] == 1 and states(relay)["succeeded"] == 2)
    finish.set()
    until(lambda: states(relay) == {"succeeded": 3})


# What the relay gets to see

Handle = Callable[[Sequence[Attempt[UserRegistered]]], Iterator[Result]]
Consumed = Callable[[Handle, int], list[Receipt]]


@pytest.fixture
def consumed(redis_server: RedisServer, redis_client: redis.Redis) -> Consumed:
    """Consume a message of so many events, and return the receipts that the relay gets to see."""

    def consume(handle: Handle, number: int) -> list[Receipt]:
        reader = ReceiptReader(redis_client, "test", PUBLISHER)
        reader.read(wait=0.001)
        broker = HeraldBroker(redis_server.url)
        actor = declare(broker, AUDIT_LOG, handle)
        actor.fn(PUBLISHER, [item(index) for index in range(number)])
        broker.client.close()
        return reader.read(wait=1)[1]

    return consume


def item(index: int) -> dict[str, object]:
    return {"dispatch": 1, "generation": 0, "event": json.loads(user_registered(index).model_dump_json())}


def outcomes(receipts: list[Receipt]) -> list[tuple[str, str | None]]:
    return [(each.outcome, each.error) for each in receipts if each.outcome != "started"]


def test_each_outcome_is_a_receipt(consumed: Consumed) -> None:
    errors = [None, PermanentError("never"), RetryLater("not now", 60), HandedBack(), UncertainError("who knows")]

    receipts = consumed(lambda attempts: zip(attempts, errors, strict=True), 5)

    assert [each.outcome for each in receipts[:5]] == ["started"] * 5
    assert sorted(receipts[:5], key=id_of) == sorted(
        [Receipt(each.event_id, "audit_log", 1, "started") for each in receipts[5:]], key=id_of
    )
    assert outcomes(receipts) == [
        ("succeeded", None),
        ("failed", "PermanentError: never"),
        ("retry", "RetryLater: not now"),
        ("handed_back", f"HandedBack: {HandedBack.__doc__}"),
        ("uncertain", "UncertainError: who knows"),
    ]
    assert receipts[7].after == 60


def id_of(receipt: Receipt) -> str:
    return str(receipt.event_id)


def test_what_went_well_is_one_line_for_a_message_and_what_did_not_one_each(consumed: Consumed) -> None:
    def work(attempts: Sequence[Attempt[UserRegistered]]) -> Iterator[Result]:
        yield from ((attempt, None) for attempt in attempts[:8])
        yield from ((attempt, PermanentError("never")) for attempt in attempts[8:])

    with capture_logs() as lines:
        receipts = consumed(work, 10)

    [succeeded, *failed] = lines
    assert (succeeded["event"], succeeded["log_level"]) == ("deliveries.succeeded", "info")
    assert (succeeded["count"], succeeded["subscription"]) == (8, "audit_log")
    assert succeeded["event_ids"] == [str(each.event_id) for each in receipts if each.outcome == "succeeded"]
    assert succeeded["correlation_ids"] == ["test"] * 8
    assert [(line["event"], line["correlation_id"]) for line in failed] == [("delivery.failed", "test")] * 2
    assert len({line["event_id"] for line in failed}) == 2


def test_one_event_that_cannot_be_read_is_refused_and_one_that_is_not_ours_left_out(
    redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    reader = ReceiptReader(redis_client, "test", PUBLISHER)
    reader.read(wait=0.001)
    unknown, foreign = item(1), item(2)
    unknown["event"] = {**unknown["event"], "dataschema": "urn:else:1"}  # type: ignore[dict-item]
    foreign["event"] = {"id": "no id", "dataschema": "urn:else:1"}
    heard: list[Event[UserRegistered]] = []
    broker = HeraldBroker(redis_server.url)
    actor = subscribe_group(broker, AUDIT_LOG, heard.extend)

    actor.fn(PUBLISHER, [unknown, foreign, {}, item(3)])
    broker.client.close()

    assert [each.subject for each in heard] == ["users/3"]
    assert sorted(each.outcome for each in reader.read(wait=1)[1]) == ["failed", "started", "succeeded"]


def test_a_message_costs_two_entries_of_the_stream_however_many_its_events(
    consumed: Consumed, redis_client: Any
) -> None:
    consumed(lambda attempts: ((attempt, None) for attempt in attempts), 50)

    entries = [fields[b"receipts"] for _, fields in redis_client.xrange(RECEIPTS)]
    assert len(entries) == 2
    assert sum(map(len, entries)) < 50 * 100
