"""Receipts move deliveries forward, never backward; lost, doubled, late and out of order."""

import threading
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from tests.integration.conftest import RelayParts
from tests.patience import until

from contracts import AUDIT_LOG, Event, EventData
from messaging.publishing.counts import counting
from messaging.relay import deliveries, dispatch_ends
from messaging.relay.apply import Applier
from messaging.wire.receipt import Receipt, describe

Publish = Callable[..., list[Event[EventData]]]


def test_started_shows_it_running_and_counts_the_attempt(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "started")

    row = relay.row(queued)
    assert (row["state"], row["attempts"]) == ("running", 1)


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "uncertain"])
def test_an_outcome_is_final(relay: RelayParts, queued: UUID, outcome: str) -> None:
    relay.tell(queued, outcome, error="why")  # type: ignore[arg-type]  # parametrised

    row = relay.row(queued)
    assert (row["state"], row["attempts"], row["last_error"], row["lease_in"]) == (outcome, 1, "why", None)
    assert row["finished_at"] is not None


@pytest.mark.parametrize(
    ("outcome", "late"),
    [
        (outcome, late)
        for outcome in ("succeeded", "failed", "uncertain")
        for late in ("started", "handed_back", "retry", "succeeded", "failed", "uncertain", "resend")
        if (outcome, late) not in {("uncertain", "succeeded"), ("uncertain", "resend")}
    ],
)
def test_nothing_moves_a_finished_delivery(relay: RelayParts, queued: UUID, outcome: str, late: str) -> None:
    relay.tell(queued, outcome)  # type: ignore[arg-type]  # parametrised
    before = relay.row(queued)

    relay.tell(queued, late)  # type: ignore[arg-type]  # parametrised

    assert relay.row(queued) == before


def test_an_uncertain_delivery_succeeds_when_a_success_is_reported_after_all(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "uncertain", error="no answer")
    relay.applier.apply([Receipt(queued, "audit_log", 1, "succeeded", reference="msg-1")])

    row = relay.row(queued)
    assert (row["state"], row["last_error"], row["reference"], row["attempts"]) == ("succeeded", None, "msg-1", 1)


@pytest.mark.parametrize("together", [False, True])
def test_an_uncertain_delivery_is_due_again_in_a_new_generation_when_an_operator_says_resend(
    relay: RelayParts, queued: UUID, together: bool
) -> None:
    uncertain, resend = (Receipt(queued, "audit_log", 1, outcome) for outcome in ("uncertain", "resend"))
    for receipts in [[resend, uncertain]] if together else [[uncertain], [resend], [resend]]:
        relay.applier.apply(receipts)

    row = relay.row(queued)
    assert (row["state"], row["generation"], row["attempts"], row["finished_at"]) == ("pending", 1, 0, None)


def test_a_decision_about_an_older_dispatch_moves_nothing(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "uncertain")
    relay.applier.apply([Receipt(queued, "audit_log", 0, "resend")])
    assert relay.row(queued)["state"] == "uncertain"


def test_a_receipt_that_comes_twice_counts_once(relay: RelayParts, queued: UUID) -> None:
    for _ in range(2):
        relay.tell(queued, "started")
        relay.tell(queued, "retry", error="busy")

    assert relay.row(queued)["attempts"] == 1


def test_started_after_its_outcome_changes_nothing(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry", error="busy")

    relay.tell(queued, "started")

    assert relay.row(queued)["state"] == "retrying"


def test_a_group_with_both_counts_one_attempt(relay: RelayParts, queued: UUID) -> None:
    news = [Receipt(queued, "audit_log", 1, "succeeded"), Receipt(queued, "audit_log", 1, "started")]

    relay.applier.apply(news)

    row = relay.row(queued)
    assert (row["state"], row["attempts"]) == ("succeeded", 1)


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_outcomes_of_one_dispatch_success_counts(relay: RelayParts, queued: UUID, turn: int) -> None:
    news = [Receipt(queued, "audit_log", 1, "succeeded"), Receipt(queued, "audit_log", 1, "retry", after=60)]

    relay.applier.apply(news[::turn])

    assert relay.row(queued)["state"] == "succeeded"


def test_a_transient_error_is_tried_again_with_backoff_until_the_attempts_are_used_up(
    relay: RelayParts, queued: UUID
) -> None:
    for attempt in (1, 2):
        relay.tell(queued, "retry", attempt, error="busy")
        row = relay.row(queued)
        assert (row["state"], row["attempts"], row["last_error"]) == ("retrying", attempt, "busy")
        assert -5 < row["due_in"] < 0.05
        relay.age_retries()
        relay.dispatcher.dispatch()

    relay.tell(queued, "retry", 3, error="busy")

    row = relay.row(queued)
    assert (row["state"], row["attempts"], row["due_in"]) == ("failed", 3, None)


@pytest.mark.parametrize("begun", [True, False])
def test_what_is_handed_back_is_due_at_once_and_counts_for_nothing(
    relay: RelayParts, queued: UUID, begun: bool
) -> None:
    if begun:
        relay.tell(queued, "started")

    relay.tell(queued, "handed_back")

    row = relay.row(queued)
    assert (row["state"], row["attempts"], row["lease_in"]) == ("pending", 0, None)
    assert row["due_in"] <= 0


def test_a_handler_may_say_when(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry", after=30.0)

    assert relay.row(queued)["due_in"] == pytest.approx(30, abs=5)


@pytest.mark.parametrize("outcome", ["started", "handed_back", "retry", "failed", "uncertain"])
def test_news_of_an_older_dispatch_is_fenced(relay: RelayParts, queued: UUID, outcome: str) -> None:
    relay.tell(queued, "retry")
    relay.age_retries()
    relay.dispatcher.dispatch()
    before = relay.row(queued) | {"lease_in": None}

    relay.tell(queued, outcome, dispatch=1)  # type: ignore[arg-type]  # parametrised

    assert relay.row(queued) | {"lease_in": None} == before


@pytest.mark.parametrize("dispatch", [1, 2])
def test_what_has_succeeded_has_no_error_any_more(relay: RelayParts, queued: UUID, dispatch: int) -> None:
    relay.tell(queued, "retry", error="550 not now")
    assert relay.row(queued)["last_error"] == "550 not now"
    relay.age_retries()
    relay.dispatcher.dispatch()

    relay.tell(queued, "succeeded", dispatch=dispatch)

    assert relay.row(queued)["last_error"] is None
    assert relay.row(queued)["attempts"] == dispatch


def test_what_has_failed_without_a_word_keeps_its_last_error(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry", error="550 not now")
    relay.age_retries()
    relay.dispatcher.dispatch()

    relay.tell(queued, "uncertain", dispatch=2)

    assert relay.row(queued)["last_error"] == "550 not now"


def test_an_older_dispatch_that_succeeded_after_all_finishes_the_delivery(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry")

    relay.tell(queued, "succeeded", dispatch=1)

    assert relay.row(queued)["state"] == "succeeded"


@pytest.mark.parametrize(("counted", "shown"), [(0, 1), (1, 1), (2, 2)])
def test_an_older_dispatch_that_succeeded_is_no_attempt_of_the_one_that_waits(
    relay: RelayParts, queued: UUID, counted: int, shown: int
) -> None:
    relay.execute("UPDATE deliveries SET dispatch = 2, attempts = %s", counted)

    relay.tell(queued, "succeeded", dispatch=1)

    assert relay.row(queued)["attempts"] == shown


def test_an_attempt_that_was_given_up_for_lost_and_succeeded_after_all_is_counted(
    relay: RelayParts, queued: UUID
) -> None:
    relay.tell(queued, "started")
    relay.redis.flushall()
    relay.reconciler.reconcile()

    relay.tell(queued, "succeeded")

    row = relay.row(queued)
    assert (row["state"], row["attempts"]) == ("succeeded", 1)


def test_an_error_is_told_in_one_bounded_line_that_postgresql_can_store(relay: RelayParts, queued: UUID) -> None:
    told = describe(ValueError("bad \x00 \ud800" + "x" * 1000))

    relay.tell(queued, "failed", error=told)

    assert len(told) == 500
    assert relay.row(queued)["last_error"] == told


@pytest.mark.parametrize(
    ("attempts", "at_least", "at_most"),
    [(0, -10.0, 0.5), (3, 1.0, 4.0), (6, 8.0, 32.0), (20, 25.0, 60.0), (9_000, 25.0, 60.0)],
)
def test_the_backoff_doubles_up_to_its_cap_even_after_thousands_of_attempts(
    relay: RelayParts, queued: UUID, attempts: int, at_least: float, at_most: float
) -> None:
    relay.execute("UPDATE deliveries SET attempts = %s", attempts)

    Applier(relay.pool, [AUDIT_LOG]).apply([Receipt(queued, "audit_log", 1, "retry", "busy")])

    assert relay.row(queued)["attempts"] == attempts + 1
    assert at_least <= relay.row(queued)["due_in"] <= at_most


def test_what_failed_together_is_not_tried_again_together(relay: RelayParts, publish_users: Publish) -> None:
    events = publish_users(20)
    relay.dispatcher.dispatch()
    relay.execute("UPDATE deliveries SET attempts = 100")

    Applier(relay.pool, [AUDIT_LOG]).apply([Receipt(each.id, "audit_log", 1, "retry", "busy") for each in events])

    delays = [relay.row(event.id)["due_in"] for event in events]
    assert max(delays) - min(delays) > 3, "each delay is drawn from the upper half of a minute"


def test_two_relays_that_hear_of_one_delivery_at_once_do_not_undo_its_success(relay: RelayParts, queued: UUID) -> None:
    """One has written the success and not yet committed; the other is about to write an error of the same dispatch."""
    busy = Receipt(queued, "audit_log", 1, "retry", "busy")
    other = threading.Thread(target=relay.applier.apply, args=([busy],))
    with relay.pool.connection() as connection, connection.transaction():
        success = {"outcomes": ["succeeded"], "errors": [None], "references": [None], "agos": [None]}
        connection.execute(dispatch_ends.SUCCEEDED, deliveries.triples([busy]) | success | counting())
        other.start()
        _until_somebody_waits_for_a_lock(relay)
    other.join()

    assert relay.row(queued)["state"] == "succeeded"


def _until_somebody_waits_for_a_lock(relay: RelayParts) -> None:
    waiting = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'"
    )

    def somebody_waits() -> bool:
        with relay.pool.connection() as connection:
            return connection.execute(waiting).fetchone() is not None

    until(somebody_waits)


@pytest.mark.parametrize("outcome", ["started", "succeeded", "failed", "retry"])
def test_quick_or_slow_work_shows_when_it_began(relay: RelayParts, queued: UUID, outcome: str) -> None:
    assert relay.row(queued)["started_at"] is None

    relay.tell(queued, outcome)  # type: ignore[arg-type]  # parametrised

    began = relay.row(queued)["started_at"]
    assert began is not None
    if outcome == "started":
        relay.tell(queued, "succeeded")
        assert relay.row(queued)["started_at"] == began


def test_an_attempt_that_was_shown_as_running_is_counted_once(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "started")

    relay.tell(queued, "retry", error="busy")

    row = relay.row(queued)
    assert (row["state"], row["attempts"]) == ("retrying", 1)


def test_an_attempt_that_begins_has_a_whole_lease_before_it_is_looked_for(relay: RelayParts, queued: UUID) -> None:
    relay.age_leases()

    relay.tell(queued, "started")

    assert relay.row(queued)["lease_in"] > 10


def test_a_delivery_whose_attempts_are_used_up_says_when_it_ended(relay: RelayParts, queued: UUID) -> None:
    relay.execute("UPDATE deliveries SET attempts = 2")

    relay.tell(queued, "retry", error="busy")

    row = relay.row(queued)
    assert row["state"] == "failed"
    assert row["finished_at"] is not None


def test_receipts_of_one_round_are_applied_all_or_not_at_all(
    relay: RelayParts, queued: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = [Receipt(queued, "audit_log", 1, "started"), Receipt(queued, "welcome_email", 1, "failed")]
    monkeypatch.setattr(dispatch_ends, "FAILED", "SELECT 1 / 0")

    with pytest.raises(psycopg.errors.Error):
        relay.applier.apply(news)

    assert relay.row(queued)["state"] == "queued"


def test_started_twice_is_one_attempt(relay: RelayParts, queued: UUID) -> None:
    for _ in range(2):
        relay.tell(queued, "started")

    row = relay.row(queued)
    assert (row["state"], row["attempts"]) == ("running", 1)
