"""Due deliveries reach their queues, once, and nothing is lost on the way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import psycopg
import pytest
import redis
from tests.conftest import user_registered
from tests.integration.conftest import QUICK_SUBSCRIPTIONS, RelayParts
from tests.patience import PATIENCE

from contracts import AUDIT_LOG, WELCOME_EMAIL, Event, EventData
from devstack.ports import free_port
from messaging import publish
from messaging.process.database import Pool
from messaging.relay.dispatch import LEASE, Dispatcher
from messaging.wire import layout
from messaging.wire.client import connect
from users_api import PUBLISHER

from .workers import full

SUBSCRIPTIONS = (WELCOME_EMAIL, AUDIT_LOG)

Publish = Callable[..., list[Event[EventData]]]


def test_an_event_reaches_every_subscription_to_its_type(relay: RelayParts, publish_users: Publish) -> None:
    [event] = publish_users(1)

    assert relay.dispatcher.dispatch() == len(SUBSCRIPTIONS)

    for subscription in (WELCOME_EMAIL, AUDIT_LOG):
        [[reference]] = relay.messages(subscription.queue)
        assert (reference.event_id, reference.subscription, reference.dispatch) == (event.id, subscription.name, 1)
        assert relay.row(event.id, subscription.name)["state"] == "queued"


def test_events_travel_together_up_to_the_group_size_and_oldest_first(
    relay: RelayParts, publish_users: Publish
) -> None:
    waited = [publish_users(1, available_at=datetime.now(UTC) - timedelta(seconds=125 - n))[0].id for n in range(125)]

    relay.dispatcher.dispatch()

    mails, [entries, *more] = relay.messages("notifier"), relay.messages("auditor")
    assert [len(batch) for batch in mails] == [10] * 12 + [5]
    assert [reference.event_id for batch in mails for reference in batch] == waited
    assert [reference.event_id for batch in (entries, *more) for reference in batch] == waited
    assert len(entries) == 100


def test_nothing_is_enqueued_twice(relay: RelayParts, publish_users: Publish) -> None:
    publish_users(3)
    relay.dispatcher.dispatch()

    assert relay.dispatcher.dispatch() == 0
    assert len(relay.messages("auditor")) == 1


def test_a_rolled_back_transaction_publishes_nothing(relay: RelayParts) -> None:
    with relay.pool.connection() as connection, connection.transaction(force_rollback=True):
        connection.execute(*publish([user_registered(1)]))

    assert relay.dispatcher.dispatch() == 0


def test_a_transaction_that_commits_late_is_not_skipped(relay: RelayParts, publish_users: Publish) -> None:
    with relay.pool.connection() as slow, slow.transaction():
        slow.execute(*publish([user_registered(1)]))
        publish_users(1)
        assert relay.dispatcher.dispatch() == 2

    assert relay.dispatcher.dispatch() == 2


def test_a_delayed_event_waits_for_its_time_however_far_ahead(relay: RelayParts, publish_users: Publish) -> None:
    [event] = publish_users(1, available_at=datetime.now(UTC) + timedelta(days=400))

    assert relay.dispatcher.dispatch() == 0
    assert relay.row(event.id)["state"] == "pending"
    assert relay.dispatcher.next_due() == pytest.approx(400 * 86400, abs=60)

    relay.age_retries()
    assert relay.dispatcher.dispatch() == 2


def test_relays_share_the_work_and_none_of_it_twice(
    relay: RelayParts, publish_users: Publish, users_pool: Pool, redis_client: redis.Redis
) -> None:
    publish_users(1500)
    relays = [Dispatcher(users_pool, redis_client, SUBSCRIPTIONS, PUBLISHER) for _ in range(4)]

    def drain(dispatcher: Dispatcher) -> int:
        total = 0
        while count := dispatcher.dispatch():
            total += count
        return total

    with ThreadPoolExecutor(4) as threads:
        totals = list(threads.map(drain, relays))

    assert sum(totals) == 3000
    enqueued = [reference.event_id for batch in relay.messages("auditor") for reference in batch]
    assert len(enqueued) == len(set(enqueued)) == 1500


def test_with_redis_away_deliveries_stay_due(relay: RelayParts, publish_users: Publish, users_pool: Pool) -> None:
    [event] = publish_users(1)
    nobody = connect(f"redis://127.0.0.1:{free_port()}")

    with pytest.raises(redis.ConnectionError):
        Dispatcher(users_pool, nobody, SUBSCRIPTIONS, PUBLISHER).dispatch()

    assert relay.row(event.id)["state"] == "pending"
    assert relay.dispatcher.dispatch() == 2


def test_with_redis_away_nothing_is_claimed_again_and_again(relay: RelayParts, publish_users: Publish) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()
    [event] = publish_users(1)
    relay.dispatcher._redis = connect(f"redis://127.0.0.1:{free_port()}")

    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            relay.dispatcher.dispatch()

    assert relay.row(event.id)["state"] == "pending"
    assert relay.row(event.id)["dispatch"] == 1, "claimed once, and only because Redis had been there"


def test_a_relay_that_dies_between_claim_and_enqueue_loses_nothing(relay: RelayParts, publish_users: Publish) -> None:
    [event] = publish_users(1)
    relay.dispatcher._claim()  # ... and here it dies
    assert relay.row(event.id)["state"] == "queued"

    relay.age_leases()
    relay.reconciler.reconcile()

    assert relay.dispatcher.dispatch() == 2
    [[reference]] = relay.messages("auditor")
    assert reference.dispatch == 2


def test_what_saw_its_worker_die_travels_alone(relay: RelayParts, publish_users: Publish) -> None:
    events = publish_users(4)
    relay.execute("UPDATE deliveries SET crashes = 1 WHERE event_id = %s", events[1].id)

    relay.dispatcher.dispatch()

    batches = {frozenset(reference.event_id for reference in batch) for batch in relay.messages("auditor")}
    assert batches == {frozenset({events[1].id}), frozenset({events[0].id, events[2].id, events[3].id})}


def test_a_subscription_this_relay_does_not_know_waits_for_one_that_does(
    relay: RelayParts, publish_users: Publish, users_pool: Pool, redis_client: redis.Redis
) -> None:
    [event] = publish_users(1)

    assert Dispatcher(users_pool, redis_client, [WELCOME_EMAIL], PUBLISHER).dispatch() == 1

    assert relay.row(event.id, "audit_log")["state"] == "pending"
    assert Dispatcher(users_pool, redis_client, [WELCOME_EMAIL], PUBLISHER).next_due() is None, (
        "or it would look again at once"
    )


def test_publishing_wakes_a_listening_relay(users_database: str, publish_users: Publish) -> None:
    with psycopg.connect(users_database, autocommit=True) as listener:
        listener.execute("LISTEN herald_due")
        publish_users(3)

        assert len(list(listener.notifies(timeout=PATIENCE, stop_after=1))) == 1


def test_a_backlog_stays_in_postgresql_and_holds_up_no_other_subscription(
    relay: RelayParts, publish_users: Publish
) -> None:
    dispatcher = Dispatcher(relay.pool, relay.redis, QUICK_SUBSCRIPTIONS, PUBLISHER, room=10)  # a message of mails
    publish_users(1)
    dispatcher.dispatch()
    relay.redis.delete(layout.queue_key("auditor"), layout.messages_key("auditor"))  # the auditor is up to date
    [second] = publish_users(1)

    assert dispatcher.dispatch() == 1

    assert relay.row(second.id, "audit_log")["state"] == "queued"
    assert relay.row(second.id, "welcome_email")["state"] == "pending"
    assert dispatcher.next_due() is None, "or it would look again at once"
    relay.redis.delete(layout.queue_key("notifier"), layout.messages_key("notifier"))
    assert dispatcher.dispatch() == 1


def test_what_saw_its_worker_die_twice_goes_one_at_a_time(relay: RelayParts, publish_users: Publish) -> None:
    events = publish_users(4)
    relay.execute("UPDATE deliveries SET crashes = 2 WHERE subscription = 'audit_log'")
    relay.execute("UPDATE deliveries SET crashes = 0 WHERE event_id = %s", events[3].id)

    relay.dispatcher.dispatch()
    relay.dispatcher.dispatch()

    queued = {event.id for event in events if relay.row(event.id)["state"] == "queued"}
    assert events[3].id in queued, "what is not suspected doesn't wait"
    assert len(queued) == 2
    [suspect] = queued - {events[3].id}
    relay.tell(suspect, "succeeded")
    relay.dispatcher.dispatch()
    assert sum(relay.row(event.id)["state"] == "queued" for event in events[:3]) == 1


def test_what_this_relay_does_not_know_does_not_crowd_out_what_it_does(
    relay: RelayParts, publish_users: Publish
) -> None:
    [event] = publish_users(1)
    relay.execute("UPDATE deliveries SET due_at = due_at - interval '1 hour' WHERE subscription = 'audit_log'")

    assert Dispatcher(relay.pool, relay.redis, [WELCOME_EMAIL], PUBLISHER, limit=1).dispatch() == 1

    assert relay.row(event.id, "welcome_email")["state"] == "queued"


def test_a_suspect_of_one_subscription_holds_up_no_suspect_of_another(
    relay: RelayParts, publish_users: Publish
) -> None:
    [event] = publish_users(1)
    relay.execute("UPDATE deliveries SET crashes = 2")
    Dispatcher(relay.pool, relay.redis, [WELCOME_EMAIL], PUBLISHER).dispatch()

    assert Dispatcher(relay.pool, relay.redis, [AUDIT_LOG], PUBLISHER).dispatch() == 1

    assert relay.row(event.id, "audit_log")["state"] == "queued"


def test_while_a_suspect_is_running_the_next_one_waits(relay: RelayParts, publish_users: Publish) -> None:
    events = publish_users(2)
    relay.execute("UPDATE deliveries SET crashes = 2 WHERE subscription = 'audit_log'")
    relay.dispatcher.dispatch()
    [suspect] = [event.id for event in events if relay.row(event.id)["state"] == "queued"]
    relay.tell(suspect, "started")

    relay.dispatcher.dispatch()

    assert sorted(relay.row(event.id)["state"] for event in events) == ["pending", "running"]


def test_when_more_is_due_than_fits_in_a_round_the_oldest_goes_first(relay: RelayParts, publish_users: Publish) -> None:
    events = publish_users(4)
    for hours, event in enumerate(events):
        relay.execute(
            "UPDATE deliveries SET due_at = now() - make_interval(hours => %s) WHERE event_id = %s", hours, event.id
        )

    dispatcher = Dispatcher(relay.pool, relay.redis, [AUDIT_LOG], PUBLISHER, limit=1)
    while dispatcher.dispatch():
        pass

    enqueued = [reference.event_id for [reference] in relay.messages("auditor")]
    assert enqueued == [event.id for event in reversed(events)]


def test_what_redis_refuses_to_take_is_due_again_at_once(
    relay: RelayParts, publish_users: Publish, redis_client: redis.Redis
) -> None:
    publish_users(1)
    relay.dispatcher.dispatch()  # so there was room, lately
    first, again = publish_users(2)
    relay.execute("UPDATE deliveries SET state = 'retrying', attempts = 1 WHERE event_id = %s", again.id)
    with full(redis_client), pytest.raises(redis.RedisError):
        relay.dispatcher.dispatch()

    assert relay.row(first.id)["state"] == "pending"
    assert relay.row(again.id)["state"] == "retrying"
    assert relay.row(first.id)["dispatch"] == 1, "it was claimed"
    assert relay.dispatcher.dispatch() == 4


def test_a_redis_that_is_known_to_be_full_costs_postgresql_nothing(
    relay: RelayParts, publish_users: Publish, redis_client: redis.Redis
) -> None:
    [event] = publish_users(1)
    with full(redis_client):
        for _ in range(3):
            with pytest.raises(redis.RedisError):
                relay.dispatcher.dispatch()

    assert relay.row(event.id)["dispatch"] == 0, "nothing was claimed"
    assert relay.dispatcher.dispatch() == 2


def test_a_relay_that_gives_back_too_late_takes_nothing_from_the_one_that_went_on(
    relay: RelayParts, publish_users: Publish
) -> None:
    [event] = publish_users(1)
    slow = relay.dispatcher._claim()  # ... and here it hangs, until its leases are over
    relay.age_leases()
    relay.reconciler.reconcile()
    relay.dispatcher.dispatch()

    relay.dispatcher._release(slow)

    row = relay.row(event.id)
    assert (row["state"], row["dispatch"]) == ("queued", 2)


def test_a_relay_that_gives_back_what_a_worker_already_has_takes_nothing_from_it(
    relay: RelayParts, publish_users: Publish
) -> None:
    [event] = publish_users(1)
    claimed = relay.dispatcher._claim()
    relay.dispatcher._enqueue(claimed)  # Redis took it, and only its answer got lost
    relay.tell(event.id, "started")

    relay.dispatcher._release(claimed)

    assert relay.row(event.id)["state"] == "running"


def test_a_claim_lasts_for_one_lease(relay: RelayParts, publish_users: Publish) -> None:
    [event] = publish_users(1)

    relay.dispatcher.dispatch()

    assert relay.row(event.id)["lease_in"] == pytest.approx(LEASE, abs=5)


class UserRenamed(EventData):
    event_type: ClassVar[str] = "user_renamed"
    version: ClassVar[int] = 1


def test_an_event_makes_no_delivery_for_a_subscription_to_another_type(relay: RelayParts) -> None:
    elsewhere = WELCOME_EMAIL.model_copy(update={"event": UserRenamed})
    with relay.pool.connection() as connection:
        connection.execute(*publish([user_registered(1)], subscriptions=(elsewhere, AUDIT_LOG)))

    assert relay.dispatcher.dispatch() == 1

    assert (len(relay.messages("notifier")), len(relay.messages("auditor"))) == (0, 1)
