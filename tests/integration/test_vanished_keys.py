"""Each key in Redis may vanish, or be written by another program, at any moment: no delivery is lost or stuck by it."""

from collections.abc import Callable
from uuid import UUID

import pytest
import redis
from structlog.testing import capture_logs
from tests.patience import until

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, EventData, UserRegistered
from devstack.redis_server import RedisServer
from messaging import HeraldBroker
from messaging.relay.dispatch import Dispatcher
from messaging.wire import layout
from messaging.wire.script import members
from users_api import PUBLISHER

from .conftest import QUICK_SUBSCRIPTIONS, RelayParts
from .workers import EPOCH, RECEIPTS, Consume, states

Publish = Callable[..., list[Event[EventData]]]
Damage = Callable[[redis.Redis, str], object]

QUEUE, MESSAGES = layout.queue_key("auditor"), layout.messages_key("auditor")


def delete(client: redis.Redis, key: str) -> None:
    client.delete(key)


def replace(client: redis.Redis, key: str) -> None:
    """Make it a key of another program, and of another type."""
    client.delete(key)
    if layout.kind(key) == "string":
        client.rpush(key, "foreign")
    else:
        client.set(key, "foreign")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let leases, looks and waits be short, in their order: a worker beats more often than the relay sweeps."""
    monkeypatch.setattr("messaging.consuming.inbox.WAIT_SECONDS", 0.2)
    monkeypatch.setattr("messaging.relay.relay.IDLE_SECONDS", 0.5)
    monkeypatch.setattr("messaging.relay.relay.RECONCILE_SECONDS", 0.2)
    monkeypatch.setattr("messaging.relay.relay.SWEEP_SECONDS", 0.5, raising=False)
    monkeypatch.setattr("messaging.relay.lost.LOOK_SECONDS", 0.2, raising=False)
    for module in ("dispatch", "apply", "reconcile"):
        monkeypatch.setattr(f"messaging.relay.{module}.LEASE", 2.0)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.2)


@pytest.mark.parametrize("damage", [delete, replace])
@pytest.mark.parametrize(
    "key",
    [
        QUEUE,
        MESSAGES,
        layout.WORKERS,
        layout.DRAMATIQ_HEARTBEATS,
        RECEIPTS,
        EPOCH,
        layout.PROBE,
    ],
)
def test_what_waits_while_a_key_vanishes_is_delivered(
    relay: RelayParts, publish_users: Publish, consume: Consume, damage: Damage, key: str
) -> None:
    publish_users(5)
    until(lambda: states(relay) == {"queued": 5})

    damage(relay.redis, key)
    consume(AUDIT_LOG, lambda _: None)
    publish_users(5)

    until(lambda: states(relay) == {"succeeded": 10})
    until(lambda: not relay.redis.exists(QUEUE, MESSAGES))


@pytest.mark.parametrize("damage", [delete, replace])
@pytest.mark.parametrize("key", ["queue", "messages", "unacked", "heartbeat", layout.WORKERS, RECEIPTS])
def test_what_a_worker_has_in_hand_while_a_key_vanishes_is_delivered(
    relay: RelayParts, publish_users: Publish, consume: Consume, damage: Damage, key: str
) -> None:
    damaged: list[str] = []

    def handle(event: Event[UserRegistered]) -> None:
        if not damaged:
            [holder] = members(relay.redis, layout.WORKERS)
            worker = holder.rpartition("/")[0]
            keys = {
                "queue": QUEUE,
                "messages": MESSAGES,
                "unacked": layout.unacked_key(worker, "auditor"),
                "heartbeat": layout.heartbeat_key(worker),
            }
            damaged.append(keys.get(key, key))
            damage(relay.redis, damaged[0])

    consume(AUDIT_LOG, handle)
    publish_users(5)

    until(lambda: states(relay) == {"succeeded": 5})
    publish_users(5)
    until(lambda: states(relay) == {"succeeded": 10})
    until(lambda: not relay.redis.exists(QUEUE, MESSAGES))


def test_a_key_of_a_wrong_type_holds_up_no_other_queue(
    relay: RelayParts, publish_users: Publish, consume: Consume
) -> None:
    consume(WELCOME_EMAIL, lambda _: None)
    consume(AUDIT_LOG, lambda _: None)
    replace(relay.redis, QUEUE)
    replace(relay.redis, MESSAGES)

    publish_users(20)

    for subscription in ("welcome_email", "audit_log"):
        until(lambda name=subscription: states(relay, name) == {"succeeded": 20})  # type: ignore[misc]  # one at a time


def test_a_key_of_a_wrong_type_is_deleted_and_named(relay: RelayParts, publish_users: Publish) -> None:
    replace(relay.redis, QUEUE)
    publish_users(1)

    with capture_logs() as logged:
        relay.dispatcher.dispatch()

    [said] = [each for each in logged if each["event"] == "redis.key_deleted"]
    assert (said["log_level"], said["key"], said["found"], said["expected"]) == ("error", QUEUE, "string", "list")
    assert relay.redis.llen(QUEUE) == relay.redis.hlen(MESSAGES) == 1


def test_a_take_that_fails_takes_nothing(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = HeraldBroker(redis_server.url)
    monkeypatch.setattr("messaging.wire.script.mend", lambda client, keys: None)
    for key in (layout.WORKERS, layout.unacked_key(broker.broker_id, "auditor")):
        replace(relay.redis, key)

        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            broker.inbox("auditor").take(10)

        relay.redis.delete(key)
    assert relay.redis.llen(QUEUE) == 1
    broker.close()


def test_data_that_nobody_has_is_swept_in_the_second_look(relay: RelayParts, queued: UUID) -> None:
    relay.redis.delete(QUEUE)

    relay.sweeper.sweep()
    assert (relay.row(queued)["state"], relay.redis.hlen(MESSAGES)) == ("queued", 1)
    relay.sweeper.sweep()

    assert (relay.row(queued)["state"], relay.redis.hlen(MESSAGES)) == ("pending", 0)


def test_what_a_worker_holds_that_redis_forgot_for_a_moment_is_not_swept(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    broker = HeraldBroker(redis_server.url)
    assert next(broker.consume("auditor", prefetch=10))
    relay.redis.delete(layout.WORKERS)
    relay.sweeper.sweep()
    broker.inbox("auditor").beat()

    relay.sweeper.sweep()

    assert (relay.row(queued)["state"], relay.redis.hlen(MESSAGES)) == ("queued", 1)
    broker.close()


def test_ids_without_data_are_removed_and_their_deliveries_looked_for(relay: RelayParts, queued: UUID) -> None:
    relay.redis.delete(MESSAGES)
    relay.execute("UPDATE deliveries SET queued_at = now() - interval '1 hour', lease_until = now() + interval '2 min'")

    relay.sweeper.sweep()

    assert relay.redis.llen(QUEUE) == 0
    assert relay.row(queued)["lease_in"] < 1


def test_a_queue_that_is_empty_has_its_leases_looked_at(relay: RelayParts, queued: UUID) -> None:
    relay.redis.delete(QUEUE, MESSAGES)
    relay.execute("UPDATE deliveries SET queued_at = now() - interval '1 hour', lease_until = now() + interval '2 min'")

    relay.sweeper.sweep()

    assert relay.row(queued)["lease_in"] < 1
    assert relay.row(queued, "welcome_email")["lease_in"] > 60, "its queue has lost nothing"


def dead_worker(relay: RelayParts, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a worker die that has a message in hand."""
    monkeypatch.setattr("messaging.relay.reconcile.SILENCE", 0.0)
    broker = HeraldBroker(redis_url)
    assert next(broker.consume("auditor", prefetch=10))
    broker.close()
    relay.redis.delete(layout.heartbeat_key(broker.broker_id))
    return broker.broker_id


def test_a_dead_workers_messages_whose_data_vanished_are_looked_for(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_worker(relay, redis_server.url, monkeypatch)
    relay.redis.delete(MESSAGES)
    relay.execute("UPDATE deliveries SET queued_at = now() - interval '1 hour', lease_until = now() + interval '2 min'")

    relay.reconciler.reconcile()

    assert relay.row(queued)["lease_in"] < 1


def test_a_dead_worker_whose_heartbeat_is_of_a_wrong_type_is_found(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(relay.redis, layout.heartbeat_key(dead_worker(relay, redis_server.url, monkeypatch)))

    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "pending"


@pytest.mark.parametrize("seconds", [None, 3_600])
def test_a_dead_worker_whose_heartbeat_would_last_is_found(
    relay: RelayParts,
    queued: UUID,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int | None,
) -> None:
    key = layout.heartbeat_key(dead_worker(relay, redis_server.url, monkeypatch))
    relay.redis.set(key, "1", ex=seconds)

    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "pending"
    assert not relay.redis.exists(key)


def test_members_that_are_no_workers_are_removed_and_reported_once(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    broker = HeraldBroker(redis_server.url)
    assert next(broker.consume("auditor", prefetch=10))
    relay.redis.sadd(layout.WORKERS, "notifier", b"\xff/auditor", "/auditor", "worker/", "")

    with capture_logs() as logged:
        relay.reconciler.reconcile()
        relay.reconciler.reconcile()

    assert [(each["event"], each["count"]) for each in logged] == [("redis.members_removed", 5)]
    assert members(relay.redis, layout.WORKERS) == {layout.holder(broker.broker_id, "auditor")}
    broker.close()


def test_a_backlog_that_only_waits_is_left_alone(relay: RelayParts, publish_users: Publish) -> None:
    publish_users(100)
    relay.dispatcher.dispatch()
    relay.execute("UPDATE deliveries SET queued_at = now() - interval '1 hour', lease_until = now() + interval '2 min'")

    for _ in range(3):
        relay.sweeper.sweep()

    with relay.pool.connection() as connection:
        looked_at = connection.execute("SELECT count(*) FROM deliveries WHERE lease_until < now() + interval '1 min'")
        assert looked_at.fetchone() == (0,)
    assert states(relay) == {"queued": 100}


def test_what_is_left_in_the_hash_leaves_a_queue_its_room(relay: RelayParts, publish_users: Publish) -> None:
    dispatcher = Dispatcher(relay.pool, relay.redis, QUICK_SUBSCRIPTIONS, PUBLISHER, room=500)
    for number in range(10):
        relay.redis.hset(MESSAGES, f"left {number}", "of an enqueueing that failed")
    publish_users(2)

    assert dispatcher.dispatch() == 4
    assert dispatcher._with_room() != []


def test_a_queue_that_takes_nothing_is_reported_once_and_when_it_takes_again(
    relay: RelayParts, publish_users: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = Dispatcher(relay.pool, relay.redis, QUICK_SUBSCRIPTIONS, PUBLISHER, room=1)
    monkeypatch.setattr("messaging.relay.dispatch.STUCK_SECONDS", 0.0)
    relay.redis.rpush(QUEUE, "waits")

    with capture_logs() as logged:
        for _ in range(3):
            dispatcher.dispatch()
        relay.redis.delete(QUEUE)
        dispatcher.dispatch()

    assert [(each["event"], each["queue"]) for each in logged] == [
        ("queue.full", "auditor"),
        ("queue.has_room", "auditor"),
    ]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_may_evict_is_reported_once(relay: RelayParts, policy: str) -> None:
    relay.redis.config_set("maxmemory-policy", policy)
    try:
        with capture_logs() as logged:
            relay.sweeper.sweep()
            relay.sweeper.sweep()
    finally:
        relay.redis.config_set("maxmemory-policy", "noeviction")

    [said] = logged
    assert (said["event"], said["log_level"], said["maxmemory_policy"]) == ("redis.may_evict", "error", policy)
