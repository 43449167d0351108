"""How a worker gets messages out of Redis and lets go of them: through refusals, silence and shutdown."""

import threading
from pathlib import Path

import pytest
import redis
from dramatiq import Message, Worker

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, UserRegistered
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, subscribe
from messaging.consuming.consumer import Consumer
from messaging.consuming.work_queue import WorkQueue
from messaging.process.database import Pool
from messaging.relay.dispatch import Dispatcher
from messaging.wire import layout
from messaging.wire.client import connect
from messaging.wire.script import members
from users_api import PUBLISHER

from .conftest import RelayParts
from .workers import Consume, Publish, states, until, working

pytestmark = pytest.mark.usefixtures("quick_shutdown")


def test_a_worker_that_stops_hands_back_what_it_has_not_begun(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis, running_relay: None
) -> None:
    began, finish = threading.Event(), threading.Event()
    handled: list[str] = []

    def work(event: Event[UserRegistered]) -> None:
        began.set()
        finish.wait(20)
        handled.append(event.subject)

    publish_users(30)
    until(lambda: states(relay, "welcome_email") == {"queued": 30})
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, WELCOME_EMAIL, work)
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
        finish.wait(20)

    broker = HeraldBroker(server.url)
    subscribe(broker, AUDIT_LOG, work)
    worker = Worker(broker, worker_threads=1, worker_timeout=100)
    worker.start()
    began.wait(20)
    server.stop()
    threading.Timer(0.2, finish.set).start()

    worker.stop(timeout=20_000)

    assert not any(thread.is_alive() for thread in worker.workers)
    client.close()
    broker.close()


def test_a_worker_with_its_hands_full_still_beats(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    finish = threading.Event()

    def work(event: Event[UserRegistered]) -> None:
        finish.wait(20)

    publish_users(30)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, WELCOME_EMAIL, work)
    with working(broker, threads=1):
        until(lambda: redis_client.llen("dramatiq:notifier") == 1)  # two messages of three are all it takes
        redis_client.delete(layout.heartbeat_key(broker.broker_id))
        try:
            until(lambda: bool(redis_client.exists(layout.heartbeat_key(broker.broker_id))), 10)
        finally:
            broker.stopping.set()
            finish.set()


def test_a_restarted_redis_that_forgot_its_scripts_is_taught_them_again(
    relay: RelayParts, publish_users: Publish, consume: Consume, redis_client: redis.Redis
) -> None:
    consume(AUDIT_LOG, lambda _: None)
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

    assert members(redis_client, layout.WORKERS) == {layout.holder(broker.broker_id, "auditor")}
    broker.close()


def test_a_consumer_that_closes_hands_back_what_it_gave_to_no_thread(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(30)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    consumer = Consumer(broker, "notifier", prefetch=10, timeout=100)
    next(message for message in consumer if message)  # it fetched three and gave one away
    consumer.message_cache.append((b"strange", b"not a message"))

    consumer.close()

    assert redis_client.llen("dramatiq:notifier") == 2
    broker.close()


def test_a_consumer_that_reconnects_leaves_alone_what_a_thread_has_in_hand(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    next(message for message in broker.consume("auditor", prefetch=10) if message)

    assert next(broker.consume("auditor", prefetch=10)) is None

    assert redis_client.llen("dramatiq:auditor") == 0
    broker.close()


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
    broker.close()


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
    assert redis_client.exists(layout.heartbeat_key(broker.broker_id))
    broker.close()


def test_an_idle_worker_that_is_told_to_stop_stops_at_once(
    redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.consuming.inbox.WAIT_SECONDS", 60)
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, AUDIT_LOG, lambda _: None)
    with working(broker) as worker:
        assert isinstance(worker.work_queue, WorkQueue), "Dramatiq's own threads look once a second"
        until(lambda: redis_client.info("clients")["blocked_clients"] == 1)

        worker.stop(timeout=20_000)

        assert not any(each.is_alive() for each in [*worker.workers, *worker.consumers.values()])
    assert redis_client.smembers(layout.WORKERS) == set()


def test_an_idle_worker_that_redis_forgot_says_again_that_it_is_there(
    redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, AUDIT_LOG, lambda _: None)
    known = {layout.holder(broker.broker_id, "auditor")}
    with working(broker):
        until(lambda: members(redis_client, layout.WORKERS) == known)
        redis_client.flushall()

        until(lambda: members(redis_client, layout.WORKERS) == known)


def test_a_process_with_two_queues_is_known_by_each_that_it_took_from(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    """One heart beats for both, so that it beats doesn't tell which of them a relay knows of."""
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    queues = ("notifier", "auditor")

    for queue in queues:
        assert next(broker.consume(queue, prefetch=1))

    known = {layout.holder(broker.broker_id, queue) for queue in queues}
    assert members(redis_client, layout.WORKERS) == known
    broker.close()


def test_a_worker_takes_no_more_than_it_has_room_for(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(30)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)

    assert next(broker.consume("notifier", prefetch=2))

    assert redis_client.llen("dramatiq:notifier") == 1
    broker.close()


def test_a_redis_that_forgot_the_script_during_a_wait_is_taught_it_again(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    redis_client.script_flush()

    assert len(broker.inbox("auditor").wait_and_take(1)) == 1
    broker.close()
