"""One consumer by hand: what it takes, holds and lets go of, and how it shows that it lives."""

import threading

import pytest
import redis
from tests.patience import until

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, UserRegistered
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, subscribe
from messaging.consuming.consumer import Consumer
from messaging.consuming.work_queue import WorkQueue
from messaging.wire import layout
from messaging.wire.script import members

from .conftest import RelayParts
from .workers import Consume, Publish, states, working

pytestmark = pytest.mark.usefixtures("quick_shutdown")


def test_a_worker_with_its_hands_full_still_beats(
    relay: RelayParts, publish_users: Publish, redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    finish = threading.Event()

    def work(event: Event[UserRegistered]) -> None:
        finish.wait()

    publish_users(30)
    relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, WELCOME_EMAIL, work)
    with working(broker, threads=1):
        until(lambda: redis_client.llen("dramatiq:notifier") == 1)  # two messages of three are all it takes
        redis_client.delete(layout.heartbeat_key(broker.broker_id))
        try:
            until(lambda: bool(redis_client.exists(layout.heartbeat_key(broker.broker_id))))
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
