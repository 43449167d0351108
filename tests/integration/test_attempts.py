"""Each attempt that doesn't succeed is recorded once, by the statement that ends it; the last ten are kept."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from tests.integration.conftest import RelayParts

from contracts import Event, EventData, RetryPolicy
from devstack.redis_server import RedisServer
from messaging.publishing.operations import RETRY_BY_OPERATOR, retrying
from messaging.relay.housekeep import Housekeeper, Retention
from messaging.wire import layout
from messaging.wire.receipt import Outcome, Receipt
from users_api import PUBLISHER

from .attempted import Attempt, attempts
from .conftest import QUICK_SUBSCRIPTIONS, Subscriptions
from .test_costs import by_workers
from .test_reconcile import die, fetch

PATIENT = RetryPolicy(max_attempts=300, first_delay=0.01, max_delay=0.05, max_crashes=2)
LOST = "Redis lost its message before its end was reported"
DIED = "the worker process died during this attempt"


@pytest.fixture
def subscriptions() -> Subscriptions:
    return tuple(each.model_copy(update={"retry": PATIENT}) for each in QUICK_SUBSCRIPTIONS)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.relay.reconcile.SILENCE", 0.0)


def again(relay: RelayParts) -> None:
    relay.redis.flushdb()
    relay.age_retries()
    assert relay.dispatcher.dispatch() >= 1
    relay.redis.set(layout.epoch_key(PUBLISHER), "1")


@pytest.mark.parametrize("news", [["succeeded"], ["started", "succeeded"], ["started"], ["handed_back"]])
def test_without_an_end_that_isn_t_a_success_nothing_is_recorded(
    relay: RelayParts, queued: UUID, news: list[Outcome]
) -> None:
    for outcome in news:
        relay.tell(queued, outcome)
    assert attempts(relay.pool, queued) == []


def test_a_success_costs_no_statement_about_attempts(relay: RelayParts, queued: UUID) -> None:
    with by_workers() as sent:
        relay.applier.apply([Receipt(queued, "audit_log", 1, outcome) for outcome in ("started", "succeeded")])
    assert [each for each in sent if "attempts (" in each or "FROM attempts" in each] == []

    with by_workers() as sent:
        relay.tell(queued, "failed")
    assert len([each for each in sent if "INSERT INTO attempts (" in each]) == 1


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("outcome", ["retry", "failed", "uncertain"])
def test_an_end_is_recorded_once_however_often_it_is_reported(
    relay: RelayParts, queued: UUID, outcome: Outcome, started: bool
) -> None:
    if started:
        relay.tell(queued, "started")
    for _ in range(3):
        relay.tell(queued, outcome, error="no luck")
    relay.tell(queued, "started")

    assert attempts(relay.pool, queued) == [Attempt(1, 0, 1, outcome, "no luck")]


def test_an_attempt_says_when_it_was_queued_began_and_ended(relay: RelayParts, queued: UUID) -> None:
    relay.execute("UPDATE deliveries SET queued_at = now() - interval '10 minutes'")
    relay.tell(queued, "retry", error="busy", began=time.monotonic() - 100)

    with relay.pool.connection() as connection:
        times = connection.execute("SELECT queued_at, started_at, ended_at FROM attempts").fetchall()
    [(queued_at, started_at, ended_at)] = times
    row = relay.row(queued)
    assert (queued_at, started_at) == (row["queued_at"], row["started_at"])
    assert ended_at - started_at == pytest.approx(timedelta(seconds=100), abs=timedelta(seconds=1))


def test_a_success_hides_no_error(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry", error="busy")
    again(relay)
    relay.tell(queued, "succeeded", dispatch=2)

    assert relay.row(queued)["last_error"] is None
    assert attempts(relay.pool, queued) == [Attempt(1, 0, 1, "retry", "busy")]


def test_an_older_dispatch_records_nothing(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry", error="busy")
    again(relay)
    for outcome in ("retry", "failed", "uncertain"):
        relay.tell(queued, outcome, dispatch=1, error="long ago")

    assert attempts(relay.pool, queued) == [Attempt(1, 0, 1, "retry", "busy")]


def test_of_two_relays_that_have_the_same_receipt_one_records_it(relay: RelayParts, queued: UUID) -> None:
    receipt = Receipt(queued, "audit_log", 1, "retry", error="busy")
    with ThreadPoolExecutor(4) as relays:
        for done in [relays.submit(relay.applier.apply, [receipt]) for _ in range(8)]:
            done.result()

    assert attempts(relay.pool, queued) == [Attempt(1, 0, 1, "retry", "busy")]


def test_the_last_ten_are_kept_and_know_how_many_came_before(relay: RelayParts, queued: UUID) -> None:
    for number in range(1, 24):
        relay.tell(queued, "retry", dispatch=number, error=f"busy {number}")
        assert len(attempts(relay.pool, queued)) == min(number, 10)
        row = relay.row(queued)
        again(relay)

    with relay.pool.connection() as connection:
        newest = connection.execute("SELECT queued_at, started_at FROM attempts WHERE ordinal = 23").fetchall()
    assert newest == [(row["queued_at"], row["started_at"])]
    assert attempts(relay.pool, queued) == [Attempt(each, 0, each, "retry", f"busy {each}") for each in range(14, 24)]


def test_a_deferral_is_an_attempt_as_the_others(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry", after=600.0, error="RetryLater: the quota is used up")
    assert attempts(relay.pool, queued) == [Attempt(1, 0, 1, "retry", "RetryLater: the quota is used up")]


def test_what_an_operator_retries_begins_to_count_anew_and_keeps_what_was(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "failed", error="no such user")
    with relay.pool.connection() as connection:
        connection.execute(RETRY_BY_OPERATOR, retrying(queued, "audit_log", None))
    again(relay)
    relay.tell(queued, "retry", dispatch=2, error="busy")

    ends = [Attempt(1, 0, 1, "failed", "no such user"), Attempt(2, 1, 1, "retry", "busy")]
    assert attempts(relay.pool, queued) == ends


@pytest.mark.parametrize("began", [False, True])
def test_a_crash_is_recorded_if_the_attempt_had_begun(
    relay: RelayParts, queued: UUID, redis_server: RedisServer, began: bool
) -> None:
    worker = fetch(redis_server.url)
    if began:
        relay.tell(queued, "started")
    die(relay.redis, worker)
    relay.reconciler.reconcile()

    assert attempts(relay.pool, queued) == ([Attempt(1, 0, 1, "crashed", DIED)] if began else [])


@pytest.mark.parametrize("began", [False, True])
def test_an_attempt_whose_message_got_lost_is_recorded_if_it_had_begun_and_the_next_has_its_number(
    relay: RelayParts, queued: UUID, began: bool
) -> None:
    if began:
        relay.tell(queued, "started")
    relay.redis.flushdb()
    relay.reconciler.reconcile()
    assert attempts(relay.pool, queued) == ([Attempt(1, 0, 1, "lost", LOST)] if began else [])

    again(relay)
    relay.tell(queued, "failed", dispatch=2, error="no")

    assert attempts(relay.pool, queued)[-1][2:] == (1, "failed", "no")


def test_what_a_worker_hands_back_was_no_attempt(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "started")
    relay.tell(queued, "handed_back")
    assert attempts(relay.pool, queued) == []


def test_a_group_records_each_of_its_deliveries(
    relay: RelayParts, publish_users: Callable[..., list[Event[EventData]]]
) -> None:
    events = publish_users(30)
    relay.dispatcher.dispatch()
    ends: list[Outcome] = ["retry", "failed", "uncertain", "succeeded", "started"]
    relay.applier.apply([Receipt(each.id, "audit_log", 1, ends[at % 5], error="no") for at, each in enumerate(events)])

    found = [[attempt.outcome for attempt in attempts(relay.pool, each.id)] for each in events]
    assert found == [[ends[at % 5]] if at % 5 < 3 else [] for at in range(30)]


def test_they_are_deleted_with_their_event(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry", error="busy")
    relay.tell(queued, "succeeded")
    relay.execute("DELETE FROM deliveries WHERE subscription <> 'audit_log'")
    relay.execute("UPDATE events SET recorded_at = 'epoch', available_at = 'epoch'")
    relay.execute("UPDATE deliveries SET finished_at = 'epoch'")
    assert attempts(relay.pool, queued) != []

    Housekeeper(relay.pool, relay.redis, Retention(), threading.Event(), PUBLISHER).tidy()

    assert attempts(relay.pool, queued) == []
