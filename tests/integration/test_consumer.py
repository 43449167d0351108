"""How a worker gets messages out of Redis and lets go of them: through refusals, silence and shutdown."""

import threading
from pathlib import Path

import pytest
import redis
from dramatiq import Message, Worker
from tests.patience import PATIENCE, until

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, UserRegistered
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, subscribe
from messaging.process.database import Pool
from messaging.relay.dispatch import Dispatcher
from messaging.wire import layout
from messaging.wire.client import connect
from messaging.wire.script import members
from users_api import PUBLISHER

from .conftest import RelayParts
from .workers import Consume, Publish, states, working

pytestmark = pytest.mark.usefixtures("quick_shutdown")


def test_a_worker_that_stops_hands_back_what_it_has_not_begun(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis, running_relay: None
) -> None:
    began, finish = threading.Event(), threading.Event()
    handled: list[str] = []

    def work(event: Event[UserRegistered]) -> None:
        began.set()
        finish.wait(PATIENCE)
        handled.append(event.subject)

    publish_users(30)
    until(lambda: states(relay, "welcome_email") == {"queued": 30})
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, WELCOME_EMAIL, work)
    with working(broker, threads=1) as worker:
        began.wait(PATIENCE)
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
    assert redis_client.smembers(layout.WORKERS) == set(), "nobody need look for it"


def test_a_fetch_whose_reply_was_lost_is_handed_back(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    broker.do_fetch("auditor", 10)  # it was ours in Redis, and its reply never reached us

    found = next(message for message in broker.consume("auditor", prefetch=10) if message)

    assert found.actor_name == "audit_log"
    broker.close()


def test_a_worker_that_was_wiped_from_redis_while_it_waited_is_known_again_with_what_it_fetches(
    relay: RelayParts,
    publish_users: Publish,
    redis_server: RedisServer,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before its next beat, it would take the message with it: Redis still holds it, and nobody looks."""
    monkeypatch.setattr("messaging.consuming.inbox.WAIT_SECONDS", 4)
    broker = HeraldBroker(redis_server.url)
    consumer = broker.consume("auditor", prefetch=1)
    assert next(consumer) is None  # the first look doesn't wait
    waiting = threading.Thread(target=next, args=(consumer,))
    waiting.start()
    known = {layout.holder(broker.broker_id, "auditor")}
    until(lambda: known == members(redis_client, layout.WORKERS))
    redis_client.flushall()

    publish_users(1)
    relay.dispatcher.dispatch()
    waiting.join()

    assert members(redis_client, layout.unacked_key(broker.broker_id, "auditor"))
    assert members(redis_client, layout.WORKERS) == known
    broker.close()


def test_a_message_that_cannot_be_read_holds_up_no_other(
    relay: RelayParts, publish_users: Publish, consume: Consume, redis_client: redis.Redis
) -> None:
    forged: list[tuple[object, ...]] = [
        (),
        (PUBLISHER, [7]),
        (PUBLISHER, [{"event": {}}]),
        (PUBLISHER, [{"event": {"id": "x"}, "dispatch": "y"}]),
        (PUBLISHER, None),
    ]
    garbage = {f"{PUBLISHER}/{number}": arguments for number, arguments in enumerate(forged)}
    messages = {
        name: Message("auditor", "audit_log", arguments, {}, {"redis_message_id": name}, name).encode()
        for name, arguments in garbage.items()
    }
    for message_id, data in (messages | {"garbage": b"not a message"}).items():
        redis_client.hset("dramatiq:auditor.msgs", message_id, data)
        redis_client.rpush("dramatiq:auditor", message_id)
    consume(AUDIT_LOG, lambda _: None)

    publish_users(5)

    until(lambda: states(relay) == {"succeeded": 5})


def test_a_message_for_an_actor_this_worker_lacks_is_told_to_the_relay(
    relay: RelayParts,
    publish_users: Publish,
    consume: Consume,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    consume(WELCOME_EMAIL.model_copy(update={"queue": "auditor"}), lambda _: None)  # not audit_log's actor

    [event] = publish_users(1)

    error = "this worker has no actor `audit_log`; deploy a version that does"
    until(lambda: error in str(relay.row(event.id)["last_error"]))
    until(lambda: not redis_client.exists("dramatiq:auditor.msgs", "dramatiq:auditor"))
    assert redis_client.keys("dramatiq:auditor.XQ*") == []
    assert caplog.text == "", "Dramatiq would log a traceback, and a dead-letter queue that there isn't"


def test_a_worker_recovers_when_redis_refused_everything_for_a_while(
    relay: RelayParts,
    publish_users: Publish,
    consume: Consume,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = threading.Event()

    def work(event: Event[UserRegistered]) -> None:
        if not refused.is_set():
            redis_client.config_set("maxmemory", 1)  # full: acknowledgements and receipts are refused
            refused.set()

    consume(AUDIT_LOG, work)
    publish_users(1)
    try:
        refused.wait(PATIENCE)
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
    consume(AUDIT_LOG, lambda _: None)

    publish_users(1)

    until(lambda: states(relay) == {"succeeded": 1} and not relay.redis.hlen("dramatiq:auditor.msgs"))
    assert "READONLY" in caplog.text
    assert "example.com" not in caplog.text, "Dramatiq's lines quote no event"


def test_a_worker_that_is_told_to_stop_stops_even_with_redis_away(
    publish_users: Publish, relay: RelayParts, tmp_path: Path, users_pool: Pool
) -> None:
    server = RedisServer(tmp_path / "redis", appendonly=False)
    server.start()
    client = connect(server.url)
    publish_users(1)
    Dispatcher(users_pool, client, (AUDIT_LOG,), PUBLISHER).dispatch()
    began, finish = threading.Event(), threading.Event()

    def work(event: Event[UserRegistered]) -> None:
        began.set()
        finish.wait(PATIENCE)

    broker = HeraldBroker(server.url)
    subscribe(broker, AUDIT_LOG, work)
    worker = Worker(broker, worker_threads=1, worker_timeout=100)
    worker.start()
    began.wait(PATIENCE)
    server.stop()
    threading.Timer(0.2, finish.set).start()

    worker.stop(timeout=20_000)

    assert not any(thread.is_alive() for thread in worker.workers)
    client.close()
    broker.close()
