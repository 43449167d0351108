"""Whatever Redis or a worker loses is found."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest
import redis
from dramatiq import Message
from tests.integration.conftest import RelayParts
from tests.patience import PATIENCE

from contracts import Event, EventData, Subscription
from devstack.redis_server import RedisServer
from messaging import HeraldBroker
from messaging.relay.reconcile import Leased, Reconciler
from messaging.wire import layout
from users_api import PUBLISHER

Publish = Callable[..., list[Event[EventData]]]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.relay.reconcile.SILENCE", 0.0)


def fetch(redis_url: str, queue: str = "auditor") -> str:
    """Fetch what waits in a queue, as a worker process of our own broker does, and return the worker's id."""
    broker = HeraldBroker(redis_url)
    consumer = broker.consume(queue, prefetch=100)
    next(message for message in consumer if message)
    broker.close()
    return broker.broker_id


def die(client: redis.Redis, worker: str) -> None:
    """Let a worker's heart have stopped long enough."""
    client.delete(layout.heartbeat_key(worker))


def test_a_message_that_only_waits_is_left_alone(relay: RelayParts, queued: UUID) -> None:
    relay.age_leases()

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["dispatch"]) == ("queued", 1)
    assert row["lease_in"] > 10
    assert len(relay.messages("auditor")) == 1


def test_a_message_in_a_live_workers_hands_is_left_alone(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    fetch(redis_server.url)
    relay.age_leases()

    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "queued"


def test_a_message_that_vanished_is_enqueued_again(relay: RelayParts, queued: UUID) -> None:
    relay.redis.delete(layout.messages_key("auditor"), layout.queue_key("auditor"))
    relay.age_leases()

    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "pending"
    relay.dispatcher.dispatch()
    [[reference]] = relay.messages("auditor")
    assert (reference.event_id, reference.dispatch) == (queued, 2)


def test_an_attempt_that_got_lost_counts_for_nothing_so_the_last_one_may_be_made_again(
    relay: RelayParts, queued: UUID
) -> None:
    relay.execute("UPDATE deliveries SET attempts = 2")
    relay.tell(queued, "started")
    relay.redis.flushall()

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["attempts"]) == ("retrying", 2)
    relay.dispatcher.dispatch()
    relay.tell(queued, "started", dispatch=2)
    assert relay.row(queued)["attempts"] == 3, "of three"


def test_a_first_attempt_that_got_lost_was_none(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "started")
    relay.redis.flushall()

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["attempts"]) == ("pending", 0)


def test_a_wiped_redis_is_noticed_without_waiting_for_leases(relay: RelayParts, publish_users: Publish) -> None:
    events = publish_users(700)
    while relay.dispatcher.dispatch():
        pass
    relay.redis.flushall()

    relay.reconciler.reconcile()

    while relay.dispatcher.dispatch():
        pass
    again = [reference.event_id for batch in relay.messages("auditor") for reference in batch]
    assert sorted(again) == sorted(event.id for event in events)


def test_what_a_dead_worker_had_only_fetched_is_due_at_once(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    die(relay.redis, fetch(redis_server.url))

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["attempts"], row["crashes"]) == ("pending", 0, 0)
    assert row["due_in"] <= 0
    assert relay.redis.hlen(layout.messages_key("auditor")) == 0


def test_what_a_dead_worker_had_begun_counts_as_a_crash(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    worker = fetch(redis_server.url)
    relay.tell(queued, "started")
    die(relay.redis, worker)

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["attempts"], row["crashes"]) == ("retrying", 1, 1)
    assert "died" in row["last_error"]


def test_a_poison_event_ends_as_failed(relay: RelayParts, queued: UUID, redis_server: RedisServer) -> None:
    for dispatch in (1, 2):
        worker = fetch(redis_server.url)
        relay.tell(queued, "started", dispatch)
        die(relay.redis, worker)
        relay.reconciler.reconcile()
        relay.age_retries()
        relay.dispatcher.dispatch()

    row = relay.row(queued)
    assert (row["state"], row["crashes"]) == ("failed", 2)
    assert relay.messages("auditor") == []


def test_a_worker_that_woke_up_in_time_is_not_robbed(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    worker = fetch(redis_server.url)
    die(relay.redis, worker)
    relay.redis.set(layout.heartbeat_key(worker), "auditor", ex=6)

    relay.reconciler._take_back(worker, "auditor")

    assert relay.redis.hlen(layout.messages_key("auditor")) == 1
    assert relay.row(queued)["state"] == "queued"


def test_a_worker_is_not_dead_before_it_was_watched_to_be_silent(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = fetch(redis_server.url)
    relay.tell(queued, "started")
    die(relay.redis, worker)  # as after an outage of Redis, when nobody could beat
    monkeypatch.setattr("messaging.relay.reconcile.SILENCE", 60.0)

    relay.reconciler.reconcile()
    relay.redis.set(layout.heartbeat_key(worker), "auditor", ex=6)
    monkeypatch.setattr("messaging.relay.reconcile.SILENCE", 0.0)
    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "running"


def test_a_dead_worker_is_forgotten(relay: RelayParts, queued: UUID, redis_server: RedisServer) -> None:
    die(relay.redis, fetch(redis_server.url))

    relay.reconciler.reconcile()

    assert relay.redis.smembers(layout.WORKERS) == set()
    assert relay.redis.zcard("dramatiq:__heartbeats__") == 0


def test_a_relay_that_does_not_know_a_queue_leaves_its_workers_and_its_leases_to_one_that_does(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, subscriptions: tuple[Subscription[EventData], ...]
) -> None:
    """As in a rolling deploy of a new consumer: the older relay would forget the worker, and its message for ever."""
    older = Reconciler(relay.pool, relay.redis, [each for each in subscriptions if each.queue != "auditor"], PUBLISHER)
    die(relay.redis, fetch(redis_server.url))
    relay.age_leases()

    older.reconcile()

    assert relay.redis.scard(layout.WORKERS) == 1
    assert (lease := relay.row(queued)["lease_in"]) is not None
    assert lease < 0, "the one that knows the queue is to look at once"
    relay.reconciler.reconcile()
    assert relay.row(queued)["state"] == "pending"


def test_a_strangers_message_in_our_queue_hurts_nobody(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    stranger: Message[None] = Message("auditor", "nobody", (), {}, {"redis_message_id": "stranger"})
    relay.redis.hset(layout.messages_key("auditor"), "stranger", stranger.encode())
    relay.redis.rpush(layout.queue_key("auditor"), "stranger")
    die(relay.redis, fetch(redis_server.url))

    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "pending"


def test_a_wiped_redis_is_noticed_even_if_postgresql_was_away_at_first(
    relay: RelayParts, queued: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.redis.flushall()

    def away() -> None:
        raise psycopg.OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(relay.reconciler, "_expire_all", away)
        with pytest.raises(psycopg.OperationalError):
            relay.reconciler.reconcile()

    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "pending"


def test_what_a_worker_had_finished_before_it_died_stays_finished(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    worker = fetch(redis_server.url)
    relay.tell(queued, "succeeded")  # ... and it dies before it acknowledges
    die(relay.redis, worker)

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["crashes"]) == ("succeeded", 0)


def test_a_worker_that_dies_with_an_older_dispatch_counts_no_crash_against_the_newer(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    worker = fetch(redis_server.url)
    relay.tell(queued, "retry")
    relay.age_retries()
    relay.dispatcher.dispatch()
    relay.tell(queued, "started", dispatch=2)  # another worker is at it
    die(relay.redis, worker)

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["dispatch"], row["crashes"]) == ("running", 2, 0)


def test_a_crash_in_the_last_attempt_is_the_end(relay: RelayParts, queued: UUID, redis_server: RedisServer) -> None:
    relay.execute("UPDATE deliveries SET attempts = 2")
    worker = fetch(redis_server.url)
    relay.tell(queued, "started")
    die(relay.redis, worker)

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["attempts"], row["crashes"]) == ("failed", 3, 1)
    assert row["finished_at"] is not None


def test_what_was_tried_before_and_only_waited_in_a_dead_worker_is_retrying(
    relay: RelayParts, queued: UUID, redis_server: RedisServer
) -> None:
    relay.execute("UPDATE deliveries SET attempts = 1")
    die(relay.redis, fetch(redis_server.url))

    relay.reconciler.reconcile()

    row = relay.row(queued)
    assert (row["state"], row["attempts"], row["crashes"]) == ("retrying", 1, 0)


@pytest.mark.parametrize(("waited", "lease"), [(0, 15), (60, 60), (3600, 120)])
def test_the_longer_a_message_waits_the_rarer_it_is_looked_for(
    relay: RelayParts, queued: UUID, waited: int, lease: int
) -> None:
    relay.execute("UPDATE deliveries SET queued_at = queued_at - make_interval(secs => %s)", waited)
    relay.age_leases()

    relay.reconciler.reconcile()

    assert relay.row(queued)["lease_in"] == pytest.approx(lease, abs=5)


@pytest.mark.parametrize(
    ("meanwhile", "state"),
    [
        ("state = 'succeeded', lease_until = NULL, finished_at = now()", "succeeded"),
        ("dispatch = 2, lease_until = now() + interval '15 s'", "queued"),
    ],
)
def test_what_moves_on_while_its_message_is_looked_for_was_not_lost(
    relay: RelayParts, queued: UUID, monkeypatch: pytest.MonkeyPatch, meanwhile: str, state: str
) -> None:
    """Its receipt came just now, or another relay has enqueued it again: the message that is gone is an old one."""
    look = relay.reconciler._missing

    def look_late(leased: Iterable[Leased]) -> list[Leased]:
        relay.execute(f"UPDATE deliveries SET {meanwhile}")
        return look(leased)

    monkeypatch.setattr(relay.reconciler, "_missing", look_late)
    relay.redis.delete(layout.messages_key("auditor"), layout.queue_key("auditor"))
    relay.age_leases()

    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == state


@pytest.mark.parametrize("loss", ["message", "worker"])
def test_what_is_found_is_enqueued_without_delay(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, users_database: str, loss: str
) -> None:
    if loss == "worker":
        die(relay.redis, fetch(redis_server.url))
    else:
        relay.redis.delete(layout.messages_key("auditor"), layout.queue_key("auditor"))
        relay.age_leases()
    with psycopg.connect(users_database, autocommit=True) as listener:
        listener.execute("LISTEN herald_due")

        relay.reconciler.reconcile()

        assert len(list(listener.notifies(timeout=PATIENCE, stop_after=1))) == 1


def test_a_lease_of_a_subscription_this_relay_does_not_know_stops_no_other_look(
    relay: RelayParts, queued: UUID
) -> None:
    relay.execute("UPDATE deliveries SET subscription = 'text_message' WHERE subscription = 'welcome_email'")
    relay.redis.delete(layout.messages_key("auditor"), layout.queue_key("auditor"))
    relay.age_leases()

    relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "pending"
    assert relay.row(queued, "text_message")["state"] == "queued", "only a relay that knows it can tell"


def test_a_message_that_another_relay_is_about_to_enqueue_is_not_taken_for_lost(
    relay: RelayParts, publish_users: Publish
) -> None:
    [event] = publish_users(1)
    claimed = relay.dispatcher._claim()

    relay.reconciler.reconcile()

    relay.dispatcher._enqueue(claimed)
    assert relay.row(event.id)["state"] == "queued"
    assert relay.dispatcher.dispatch() == 0


def test_a_worker_that_woke_up_is_watched_anew_when_it_falls_silent_again(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = fetch(redis_server.url)
    monkeypatch.setattr("messaging.relay.reconcile.SILENCE", 5.0)

    for seconds, silent in ((0, True), (3, False), (6, True)):
        monkeypatch.setattr("messaging.relay.reconcile.time", SimpleNamespace(monotonic=lambda now=seconds: now))
        relay.redis.set(layout.heartbeat_key(worker), "1", ex=6)
        if silent:
            die(relay.redis, worker)
        relay.reconciler.reconcile()

    assert relay.row(queued)["state"] == "queued"
