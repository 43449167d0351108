"""A plain function becomes a consumer: real Dramatiq worker threads, real Redis, a real relay beside them."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import redis
from dramatiq import Message, Worker
from dramatiq.middleware import TimeLimitExceeded
from tests.integration.conftest import RelayParts

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, EventData, Subscription
from devstack.redis_server import RedisServer
from messaging import (
    Delivery,
    HeraldBroker,
    PermanentError,
    RetryLater,
    TransientError,
    UncertainError,
    subscribe,
    subscribe_group,
    transport,
)
from messaging.consumer import Consumer
from messaging.database import Pool
from messaging.relay import run
from messaging.relay.dispatch import Dispatcher
from messaging.subscriber import _is_outage

Publish = Callable[..., list[Event[EventData]]]
Consume = Callable[[Subscription, Callable[[Delivery], None]], None]
ConsumeGroups = Callable[[Subscription, Callable[[Sequence[Delivery]], None]], None]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _quick_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.2)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.2)
    monkeypatch.setattr("messaging.consumer.WAIT_SECONDS", 0.2)
    monkeypatch.setattr("messaging.relay.relay.IDLE_SECONDS", 0.2)
    monkeypatch.setattr("messaging.relay.relay.RECONCILE_SECONDS", 0.2)


@contextmanager
def working(broker: HeraldBroker, threads: int = 4) -> Iterator[Worker]:
    worker = Worker(broker, worker_threads=threads, worker_timeout=100)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        broker.client.close()


@pytest.fixture
def running_relay(
    users_database: str, redis_server: RedisServer, relay: RelayParts, subscriptions: tuple[Subscription, ...]
) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(users_database, redis_server.url, subscriptions, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def consume(redis_server: RedisServer, redis_client: redis.Redis, running_relay: None) -> Iterator[Consume]:
    brokers = []

    def start(subscription: Subscription, handler: Callable[[Delivery], None]) -> None:
        broker = HeraldBroker(redis_server.url)
        subscribe(broker, subscription, handler, receipts=redis_client)
        context = working(broker)
        context.__enter__()
        brokers.append(context)

    yield start
    for context in brokers:
        context.__exit__(None, None, None)


def states(relay: RelayParts, subscription: str = "audit_log") -> Counter[str]:
    with relay.pool.connection() as connection:
        found = connection.execute("SELECT state FROM deliveries WHERE subscription = %s", (subscription,))
        return Counter(row[0] for row in found)


def test_events_are_handled_and_reported(relay: RelayParts, publish_users: Publish, consume: Consume) -> None:
    heard: list[Event[EventData]] = []
    consume(AUDIT_LOG, lambda delivery: heard.append(delivery.event))

    events = publish_users(50)

    until(lambda: states(relay) == {"succeeded": 50})
    assert sorted(event.id for event in heard) == sorted(event.id for event in events)


def test_each_subscription_has_its_own_fate(relay: RelayParts, publish_users: Publish, consume: Consume) -> None:
    def refuse(delivery: Delivery) -> None:
        raise PermanentError("no such mailbox")

    consume(WELCOME_EMAIL, refuse)
    consume(AUDIT_LOG, lambda delivery: None)

    [event] = publish_users(1)

    until(lambda: states(relay) == {"succeeded": 1} and states(relay, "welcome_email") == {"failed": 1})
    assert relay.row(event.id, "welcome_email")["last_error"] == "PermanentError: no such mailbox"
    assert relay.row(event.id, "welcome_email")["attempts"] == 1


def test_a_transient_error_is_tried_again_until_it_works(
    relay: RelayParts, publish_users: Publish, consume: Consume
) -> None:
    attempts: Counter[int] = Counter()

    def work(delivery: Delivery) -> None:
        attempts[delivery.dispatch] += 1
        if delivery.dispatch < 3:
            raise ConnectionError("away")

    consume(AUDIT_LOG, work)

    [event] = publish_users(1)

    until(lambda: states(relay) == {"succeeded": 1})
    assert attempts == {1: 1, 2: 1, 3: 1}
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
    def work(delivery: Delivery) -> None:
        raise error

    consume(AUDIT_LOG, work)

    [event] = publish_users(1)

    until(lambda: states(relay) == {state: 1})
    assert str(error) in relay.row(event.id)["last_error"]


def test_one_bad_event_in_a_batch_holds_up_none_of_the_others(
    relay: RelayParts, publish_users: Publish, consume: Consume
) -> None:
    def work(delivery: Delivery) -> None:
        if delivery.event.subject == "users/7":
            raise PermanentError("this one")

    events = publish_users(20)
    consume(AUDIT_LOG, work)

    until(lambda: states(relay) == {"succeeded": 19, "failed": 1})
    assert relay.row(events[6].id)["state"] == "failed"


def test_a_group_that_fails_is_tried_one_by_one(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis, running_relay: None
) -> None:
    sizes = []

    def work(deliveries: Sequence[Delivery]) -> None:
        sizes.append(len(deliveries))
        if any(delivery.event.subject == "users/3" for delivery in deliveries):
            raise PermanentError("this one")

    publish_users(5)
    until(lambda: states(relay) == {"queued": 5})
    broker = HeraldBroker(redis_server.url)
    subscribe_group(broker, AUDIT_LOG, work, receipts=redis_client)
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
    consume(AUDIT_LOG, lambda delivery: None)

    relay.age_retries()

    until(lambda: states(relay) == {"succeeded": 2, "failed": 1})
    assert relay.row(events[1].id)["last_error"].startswith(error)
    assert relay.row(events[1].id)["attempts"] == 1


def test_slow_work_is_shown_as_running(relay: RelayParts, publish_users: Publish, consume: Consume) -> None:
    finish = threading.Event()

    def work(delivery: Delivery) -> None:
        finish.wait(20)

    consume(AUDIT_LOG, work)

    publish_users(1)

    until(lambda: states(relay) == {"running": 1})
    finish.set()
    until(lambda: states(relay) == {"succeeded": 1})


def test_a_worker_that_stops_hands_back_what_it_has_not_begun(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis, running_relay: None
) -> None:
    began, finish = threading.Event(), threading.Event()
    handled: list[str] = []

    def work(delivery: Delivery) -> None:
        began.set()
        finish.wait(20)
        handled.append(delivery.event.subject)

    publish_users(30)
    until(lambda: states(relay, "welcome_email") == {"queued": 30})
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, WELCOME_EMAIL, work, receipts=redis_client)
    with working(broker, threads=1) as worker:
        began.wait(20)
        threading.Timer(0.2, finish.set).start()
        worker.stop()

    assert len(handled) == 1, "it finishes the event in hand and begins no other"
    until(lambda: states(relay, "welcome_email")["succeeded"] == 1)
    relay.age_leases()
    with relay.pool.connection() as connection:
        counted = connection.execute("SELECT sum(attempts) FROM deliveries WHERE subscription = 'welcome_email'")
        assert counted.fetchone() == (1,), "what it handed back counts for nothing"
    until(lambda: redis_client.llen("dramatiq:notifier") == 3)  # two as they were, and one with the rest of the first
    assert redis_client.keys("dramatiq:__acks__*") == []
    assert redis_client.smembers(transport.WORKERS) == set(), "nobody need look for it"


def test_a_fetch_whose_reply_was_lost_is_handed_back(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    broker.do_fetch("auditor", 10)  # it was ours in Redis, and its reply never reached us

    found = next(message for message in broker.consume("auditor", prefetch=10) if message)

    assert found.actor_name == "audit_log"
    broker.client.close()


def test_with_redis_away_at_the_end_of_an_attempt_the_worker_goes_on(
    relay: RelayParts, publish_users: Publish, consume: Consume, redis_client: redis.Redis
) -> None:
    handled: Counter[str] = Counter()

    def work(delivery: Delivery) -> None:
        handled[delivery.event.subject] += 1
        if delivery.event.subject == "users/1":
            redis_client.flushall()

    consume(AUDIT_LOG, work)
    publish_users(3)

    until(lambda: states(relay) == {"succeeded": 3})


def test_a_message_that_cannot_be_read_holds_up_no_other(
    relay: RelayParts, publish_users: Publish, consume: Consume, redis_client: redis.Redis
) -> None:
    forged: list[tuple[object, ...]] = [
        (),
        ([7],),
        ([{"event": {}}],),
        ([{"event": {"id": "x"}, "dispatch": "y"}],),
        (None,),
    ]
    garbage = [
        b"not a message",
        *(Message("auditor", "audit_log", each, {}, {"redis_message_id": str(each)}).encode() for each in forged),
    ]
    for number, data in enumerate(garbage):
        message_id = "garbage" if not number else str(forged[number - 1])
        redis_client.hset("dramatiq:auditor.msgs", message_id, data)
        redis_client.rpush("dramatiq:auditor", message_id)
    consume(AUDIT_LOG, lambda delivery: None)

    publish_users(5)

    until(lambda: states(relay) == {"succeeded": 5})


def test_a_message_for_an_actor_this_worker_lacks_is_told_to_the_relay(
    relay: RelayParts, publish_users: Publish, consume: Consume, redis_client: redis.Redis
) -> None:
    consume(WELCOME_EMAIL.model_copy(update={"queue": "auditor"}), lambda delivery: None)  # not audit_log's actor

    [event] = publish_users(1)

    until(lambda: "no actor audit_log" in str(relay.row(event.id)["last_error"]))
    assert redis_client.keys("dramatiq:auditor.XQ*") == []


def test_a_group_is_not_taken_apart_when_the_world_is_out_of_order(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis, running_relay: None
) -> None:
    sizes: list[int] = []

    def work(deliveries: Sequence[Delivery]) -> None:
        sizes.append(len(deliveries))
        if len(sizes) == 1:
            raise psycopg.OperationalError("the database is away")

    publish_users(5)
    until(lambda: states(relay) == {"queued": 5})
    broker = HeraldBroker(redis_server.url)
    subscribe_group(broker, AUDIT_LOG, work, receipts=redis_client)
    with working(broker):
        until(lambda: states(relay) == {"succeeded": 5})

    assert sizes[0] == 5
    assert sum(sizes) == 10, "each once more, not each at once alone and then again"


def test_a_worker_recovers_when_redis_refused_everything_for_a_while(
    relay: RelayParts,
    publish_users: Publish,
    consume: Consume,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = threading.Event()

    def work(delivery: Delivery) -> None:
        if not refused.is_set():
            redis_client.config_set("maxmemory", 1)  # full: acknowledgements and receipts are refused
            refused.set()

    consume(AUDIT_LOG, work)
    publish_users(1)
    try:
        refused.wait(20)
        until(lambda: not redis_client.hlen("dramatiq:auditor.msgs"))  # what is done leaves even a full Redis
    finally:
        redis_client.config_set("maxmemory", 0)

    relay.age_leases()
    until(lambda: states(relay) == {"succeeded": 1})
    assert "example.com" not in caplog.text, "Dramatiq's lines quote no event"


def test_an_acknowledgement_that_redis_refuses_is_tried_again(
    relay: RelayParts,
    publish_users: Publish,
    consume: Consume,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    acknowledge, refusals = HeraldBroker.do_ack, iter([redis.ResponseError("READONLY"), redis.TimeoutError("silent")])

    def refuse_twice(broker: HeraldBroker, queue_name: str, message_id: str) -> None:
        for refusal in refusals:
            raise refusal
        acknowledge(broker, queue_name, message_id)

    monkeypatch.setattr(HeraldBroker, "do_ack", refuse_twice)
    consume(AUDIT_LOG, lambda delivery: None)

    publish_users(1)

    until(lambda: states(relay) == {"succeeded": 1} and not relay.redis.hlen("dramatiq:auditor.msgs"))
    assert "READONLY" in caplog.text
    assert "example.com" not in caplog.text, "Dramatiq's lines quote no event"


def test_a_worker_that_is_told_to_stop_stops_even_with_redis_away(
    publish_users: Publish, relay: RelayParts, tmp_path: Path, users_pool: Pool
) -> None:
    server = RedisServer(tmp_path / "redis", appendonly=False)
    server.start()
    client = transport.connect(server.url)
    publish_users(1)
    Dispatcher(users_pool, client, (AUDIT_LOG,)).dispatch()
    began, finish = threading.Event(), threading.Event()

    def work(delivery: Delivery) -> None:
        began.set()
        finish.wait(20)

    broker = HeraldBroker(server.url)
    subscribe(broker, AUDIT_LOG, work, receipts=client)
    worker = Worker(broker, worker_threads=1, worker_timeout=100)
    worker.start()
    began.wait(20)
    server.stop()
    threading.Timer(0.2, finish.set).start()

    worker.stop(timeout=20_000)

    assert not any(thread.is_alive() for thread in worker.workers)
    client.close()
    broker.client.close()


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (psycopg.OperationalError("no route to host"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.ConnectionFailure(), True),
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

    def work(deliveries: Sequence[Delivery]) -> None:
        sizes.append(len(deliveries))
        raise PermanentError("this one")

    broker = HeraldBroker(redis_server.url)
    subscribe_group(broker, AUDIT_LOG, work, receipts=redis_client)
    with working(broker):
        publish_users(1)
        until(lambda: states(relay) == {"failed": 1})

    assert sizes == [1]


def test_in_a_long_batch_what_is_done_is_reported_before_the_rest(
    relay: RelayParts, publish_users: Publish, consume: Consume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.subscriber.REPORT_EVERY", 0.0)
    finish = threading.Event()

    def work(delivery: Delivery) -> None:
        if delivery.event.subject == "users/3":
            finish.wait(20)

    events = publish_users(3, available_at=datetime.now(UTC) + timedelta(hours=1))
    for minutes, event in enumerate(events):
        relay.execute(
            "UPDATE deliveries SET due_at = now() - make_interval(mins => %s) WHERE event_id = %s",
            *(10 - minutes, event.id),
        )
    consume(AUDIT_LOG, work)

    until(lambda: states(relay)["running"] == 1 and states(relay)["succeeded"] == 2, 10)
    finish.set()
    until(lambda: states(relay) == {"succeeded": 3})


def test_a_worker_with_its_hands_full_still_beats(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    finish = threading.Event()

    def work(delivery: Delivery) -> None:
        finish.wait(20)

    publish_users(30)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, WELCOME_EMAIL, work, receipts=redis_client)
    with working(broker, threads=1):
        until(lambda: redis_client.llen("dramatiq:notifier") == 1)  # two messages of three are all it takes
        redis_client.delete(transport.heartbeat_key(broker.broker_id))
        try:
            until(lambda: bool(redis_client.exists(transport.heartbeat_key(broker.broker_id))), 10)
        finally:
            broker.stopping.set()
            finish.set()


def test_a_restarted_redis_that_forgot_its_scripts_is_taught_them_again(
    relay: RelayParts, publish_users: Publish, consume: Consume, redis_client: redis.Redis
) -> None:
    consume(AUDIT_LOG, lambda delivery: None)
    redis_client.script_flush()

    publish_users(1)

    until(lambda: states(relay) == {"succeeded": 1})


def test_a_worker_that_leaves_with_messages_in_hand_is_looked_after(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    broker.declare_queue("auditor")
    next(message for message in broker.consume("auditor", prefetch=10) if message)

    broker.leave()

    assert transport.members(redis_client, transport.WORKERS) == {broker.broker_id}
    broker.client.close()


def test_a_consumer_that_closes_hands_back_what_it_gave_to_no_thread(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(30)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    consumer = Consumer(broker, "notifier", prefetch=10, timeout=100)
    next(message for message in consumer if message)  # it fetched three and gave one away
    consumer.message_cache.append(b"not a message")

    consumer.close()

    assert redis_client.llen("dramatiq:notifier") == 2
    broker.client.close()


def test_a_consumer_that_reconnects_leaves_alone_what_a_thread_has_in_hand(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    next(message for message in broker.consume("auditor", prefetch=10) if message)

    assert next(broker.consume("auditor", prefetch=10)) is None

    assert redis_client.llen("dramatiq:auditor") == 0
    broker.client.close()


def test_what_is_let_go_of_is_not_held_for_ever(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    consumer = broker.consume("auditor", prefetch=10)
    message = next(message for message in consumer if message)
    assert len(broker.held) == 1

    consumer.ack(message)

    assert broker.held == set()
    broker.client.close()


def test_a_worker_that_is_stopping_takes_no_more_messages_and_still_beats(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    consumer = broker.consume("auditor", prefetch=10)
    broker.stopping.set()

    assert [next(consumer) for _ in range(3)] == [None, None, None]  # the first might only teach Redis its scripts

    assert redis_client.llen("dramatiq:auditor") == 1
    assert redis_client.exists(transport.heartbeat_key(broker.broker_id))
    broker.client.close()
