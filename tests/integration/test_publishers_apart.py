"""What a relay does to messages of its own publisher, and of others that share its Redis. One step at a time."""

import json
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
import redis
from dramatiq import Message
from structlog.testing import capture_logs
from tests.conftest import user_registered
from tests.patience import until

from contracts import AUDIT_LOG, Event, EventData
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, publish
from messaging.consuming.receipt_writer import report
from messaging.errors import ConfigurationError
from messaging.process.database import open_pool
from messaging.relay.backlog import BacklogCounter
from messaging.wire import layout
from messaging.wire.message import id_prefix
from messaging.wire.receipt import Receipt
from users_api import PUBLISHER

from .conftest import QUICK_SUBSCRIPTIONS, RelayParts, relay_parts
from .workers import Consume, states

Publish = Callable[..., list[Event[EventData]]]

QUEUE, MESSAGES = layout.queue_key("auditor"), layout.messages_key("auditor")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.relay.reconcile.SILENCE", 0.0)


@pytest.fixture
def other(new_database: Callable[[str], str], redis_client: redis.Redis) -> Iterator[RelayParts]:
    """The relay of another publisher, with its own database."""
    with open_pool(new_database("users"), size=4, name="other") as pool:
        yield relay_parts(pool, redis_client, QUICK_SUBSCRIPTIONS, "accounts-api")


@pytest.fixture
def others(other: RelayParts) -> UUID:
    """An audit_log delivery of the other publisher, enqueued."""
    event: Event[EventData] = user_registered(1)
    with other.pool.connection() as connection:
        connection.execute(*publish([event]))
    other.dispatcher.dispatch()
    return event.id


def dead_worker(client: redis.Redis, redis_url: str) -> str:
    """Let a worker take all that waits, and die."""
    broker = HeraldBroker(redis_url)
    assert broker.inbox("auditor").take(100)
    broker.close()
    client.delete(layout.heartbeat_key(broker.broker_id))
    return broker.broker_id


def age(relay: RelayParts) -> None:
    relay.execute("UPDATE deliveries SET queued_at = now() - interval '1 hour', lease_until = now() + interval '2 min'")


def test_a_message_names_its_publisher(relay: RelayParts, queued: UUID, other: RelayParts, others: UUID) -> None:
    ids = [each.decode() for each in relay.redis.lrange(QUEUE, 0, -1)]  # type: ignore[union-attr]  # bytes

    assert [each.partition("/")[0] for each in ids] == [PUBLISHER, "accounts-api"]
    for message_id in ids:
        message = Message.decode(relay.redis.hget(MESSAGES, message_id))  # type: ignore[arg-type]  # bytes
        assert message.args[0] == message_id.partition("/")[0]


@pytest.mark.parametrize("name", ["", "Users", "users_api", "users/api", "users api", "users-api\n", "ü"])
def test_a_publishers_name_that_ids_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a-z, 0-9 and -"):
        id_prefix(name)


def test_a_relay_takes_from_a_dead_worker_what_is_its_own_and_the_last_one_forgets_the_worker(
    relay: RelayParts, queued: UUID, other: RelayParts, others: UUID, redis_server: RedisServer
) -> None:
    for parts, event_id in ((relay, queued), (other, others)):
        parts.tell(event_id, "started")
    dead_worker(relay.redis, redis_server.url)

    relay.reconciler.reconcile()

    assert (relay.row(queued)["state"], relay.row(queued)["crashes"]) == ("retrying", 1)
    assert (other.row(others)["state"], relay.redis.hlen(MESSAGES)) == ("running", 1)
    assert relay.redis.scard(layout.WORKERS) == 1
    with capture_logs() as logged:
        relay.reconciler.reconcile()
    assert logged == [], "it has nothing more to do"

    other.reconciler.reconcile()

    assert (other.row(others)["state"], other.row(others)["crashes"]) == ("retrying", 1)
    assert relay.redis.exists(layout.WORKERS, MESSAGES, layout.DRAMATIQ_HEARTBEATS) == 0


def test_a_dead_worker_whose_messages_are_of_a_publisher_that_is_gone_is_forgotten(
    relay: RelayParts, queued: UUID, other: RelayParts, others: UUID, redis_server: RedisServer
) -> None:
    dead_worker(relay.redis, redis_server.url)
    relay.redis.delete(layout.epoch_key("accounts-api"))  # as a day after its last relay has stopped

    relay.reconciler.reconcile()

    assert relay.redis.exists(layout.WORKERS, MESSAGES) == 0
    assert other.row(others)["state"] == "queued"
    other.reconciler.reconcile()
    assert (other.row(others)["state"], other.row(others)["crashes"]) == ("pending", 0), "back, and it looks"


def test_an_epoch_outlives_its_relays_for_a_day(relay: RelayParts) -> None:
    relay.redis.expire(layout.epoch_key(PUBLISHER), 60)

    relay.reconciler.reconcile()

    assert 86_000 < relay.redis.ttl(layout.epoch_key(PUBLISHER)) <= 86_400


def test_a_wiped_redis_is_noticed_by_each_publisher(
    relay: RelayParts, queued: UUID, other: RelayParts, others: UUID
) -> None:
    relay.redis.flushall()

    relay.reconciler.reconcile()
    other.reconciler.reconcile()

    assert (relay.row(queued)["state"], other.row(others)["state"]) == ("pending", "pending")


def test_data_that_nobody_has_is_swept_by_its_own_relay(
    relay: RelayParts, queued: UUID, other: RelayParts, others: UUID
) -> None:
    relay.redis.delete(QUEUE)

    for _ in range(3):
        relay.sweeper.sweep()
    assert (relay.row(queued)["state"], other.row(others)["state"]) == ("pending", "queued")
    assert relay.redis.hlen(MESSAGES) == 1
    for _ in range(2):
        other.sweeper.sweep()

    assert other.row(others)["state"] == "pending"
    assert relay.redis.hlen(MESSAGES) == 0


def test_ids_without_data_are_left_to_their_own_relay(
    relay: RelayParts, queued: UUID, other: RelayParts, others: UUID
) -> None:
    relay.redis.delete(MESSAGES)
    age(other)

    relay.sweeper.sweep()
    assert relay.redis.llen(QUEUE) == 1
    other.sweeper.sweep()

    assert relay.redis.llen(QUEUE) == 0
    assert other.row(others)["lease_in"] < 3


def test_a_queue_that_holds_only_others_messages_has_lost_ours(
    relay: RelayParts, queued: UUID, other: RelayParts, others: UUID
) -> None:
    message_id = relay.row(queued)["message_id"]
    relay.redis.hdel(MESSAGES, message_id)
    relay.redis.lrem(QUEUE, 1, message_id)
    age(relay)
    age(other)

    relay.sweeper.sweep()
    other.sweeper.sweep()

    assert relay.row(queued)["lease_in"] < 3
    assert other.row(others)["lease_in"] > 60


def test_what_an_older_version_left_in_redis_is_dropped_and_nothing_is_lost_or_done_twice(
    relay: RelayParts, publish_users: Publish, consume: Consume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its messages name no publisher, and its receipts lie in a stream that no relay reads any more."""
    monkeypatch.setattr("messaging.relay.reconcile.LEASE", 0.5)
    [waiting, reported] = publish_users(2)
    relay.dispatcher.dispatch()
    [data] = relay.redis.hvals(MESSAGES)
    old = json.loads(data)
    old_id = old["message_id"].removeprefix("users-api/")
    old |= {"message_id": old_id, "options": {"redis_message_id": old_id}, "args": old["args"][1:]}
    relay.redis.delete(MESSAGES, QUEUE)
    relay.redis.hset(MESSAGES, old_id, json.dumps(old))
    relay.redis.rpush(QUEUE, old_id)
    relay.execute("UPDATE deliveries SET message_id = substr(message_id, 11)")
    told = [{"event_id": str(reported.id), "subscription": "audit_log", "dispatch": 1, "outcome": "failed"}]
    relay.redis.xadd("herald:receipts", {"receipts": json.dumps(told)})
    heard: list[str] = []

    consume(AUDIT_LOG, lambda delivery: heard.append("handled"))
    until(lambda: relay.redis.exists(MESSAGES) == 0)
    relay.age_leases()

    until(lambda: states(relay) == {"succeeded": 2})
    assert heard == ["handled", "handled"]
    for event in (waiting, reported):
        assert (relay.row(event.id)["attempts"], relay.row(event.id)["dispatch"]) == (1, 2)


def test_what_was_reported_to_one_publisher_is_not_read_by_the_other(
    relay: RelayParts, queued: UUID, other: RelayParts
) -> None:
    for parts in (relay, other):
        parts.reader.read(wait=0)
    ours = Receipt(queued, "audit_log", 1, "succeeded")
    report(relay.redis, PUBLISHER, [ours])

    assert other.reader.read(wait=0.01) == ([], [])
    assert relay.reader.read(wait=1)[1] == [ours]


def test_an_unknown_subscription_is_reported_once_and_again_when_it_comes_back(relay: RelayParts, queued: UUID) -> None:
    backlog = BacklogCounter(relay.pool, [AUDIT_LOG])
    finished = "UPDATE deliveries SET state = %s, finished_at = now(), due_at = NULL, lease_until = NULL"

    with capture_logs() as logged:
        backlog.count()
        backlog.count()
        relay.execute(finished, "failed")
        backlog.count()
        relay.execute("UPDATE deliveries SET state = 'pending', due_at = now(), finished_at = NULL")
        backlog.count()

    assert [(each["event"], each["subscription"], each["count"]) for each in logged] == [
        ("subscription.unknown", "welcome_email", 1)
    ] * 2
