"""Receipts move deliveries forward, never backward; lost, doubled, late and out of order."""

import json
from collections.abc import Callable
from uuid import UUID

import pytest
import redis
from tests.integration.conftest import RelayParts

from contracts import Event, EventData
from messaging.receipts import Receipt, ReceiptReader, describe, report

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


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "uncertain"])
@pytest.mark.parametrize("late", ["started", "handed_back", "retry", "succeeded", "failed", "uncertain"])
def test_nothing_moves_a_finished_delivery(relay: RelayParts, queued: UUID, outcome: str, late: str) -> None:
    relay.tell(queued, outcome)  # type: ignore[arg-type]  # parametrised
    before = relay.row(queued)

    relay.tell(queued, late)  # type: ignore[arg-type]  # parametrised

    assert relay.row(queued) == before


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
        assert 0 < row["due_in"] + 0.05 < 0.1
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


def test_an_older_dispatch_that_succeeded_after_all_finishes_the_delivery(relay: RelayParts, queued: UUID) -> None:
    relay.tell(queued, "retry")

    relay.tell(queued, "succeeded", dispatch=1)

    assert relay.row(queued)["state"] == "succeeded"


def test_the_stream_hands_each_receipt_to_one_relay_and_forgets_it_when_done(redis_client: redis.Redis) -> None:
    ours = Receipt(UUID(int=1), "audit_log", 1, "retry", "busy", 2.5)
    one, other = ReceiptReader(redis_client, "one"), ReceiptReader(redis_client, "other")
    one.read(wait=0.001)  # makes the group
    report(redis_client, [ours])

    entry_ids, receipts = one.read(wait=1)
    assert receipts == [ours]
    assert other.read(wait=0.001) == ([], [])

    one.done(entry_ids)
    assert redis_client.xlen("herald:receipts") == 0


def test_receipts_that_a_dead_relay_had_read_are_taken_over(redis_client: redis.Redis) -> None:
    dead, heir = ReceiptReader(redis_client, "dead"), ReceiptReader(redis_client, "heir")
    dead.read(wait=0.001)
    ours = Receipt(UUID(int=1), "audit_log", 1, "succeeded")
    report(redis_client, [ours])
    dead.read(wait=1)

    assert heir.take_over(idle=0) != ([], [])


def test_an_entry_that_is_no_receipt_is_dropped(redis_client: redis.Redis) -> None:
    reader = ReceiptReader(redis_client, "one")
    reader.read(wait=0.001)
    redis_client.xadd("herald:receipts", {"receipts": "not json"})
    redis_client.xadd("herald:receipts", {"something": "else"})

    entry_ids, receipts = reader.read(wait=1)

    assert (len(entry_ids), receipts) == (2, [])


@pytest.mark.parametrize(
    "bad",
    [
        {"outcome": "exploded"},
        {"after": float("inf")},
        {"after": -1},
        {"dispatch": 2**40},
        {"event_id": 7},
        {"more": 1},
    ],
)
def test_a_bad_receipt_spoils_none_of_its_neighbours(redis_client: redis.Redis, bad: dict[str, object]) -> None:
    reader = ReceiptReader(redis_client, "one")
    reader.read(wait=0.001)
    good = {"event_id": str(UUID(int=1)), "subscription": "audit_log", "dispatch": 1, "outcome": "succeeded"}
    redis_client.xadd("herald:receipts", {"receipts": json.dumps([good | bad, good])})

    _, receipts = reader.read(wait=1)

    assert receipts == [Receipt(UUID(int=1), "audit_log", 1, "succeeded")]


def test_reading_goes_on_after_redis_was_wiped(redis_client: redis.Redis) -> None:
    reader = ReceiptReader(redis_client, "one")
    reader.read(wait=0.001)
    redis_client.flushall()
    ours = Receipt(UUID(int=1), "audit_log", 1, "succeeded")
    report(redis_client, [ours])

    found = [receipt for _ in range(2) for receipt in reader.read(wait=0.1)[1]]

    assert found == [ours]


def test_an_error_is_told_in_one_bounded_line_that_postgresql_can_store(relay: RelayParts, queued: UUID) -> None:
    told = describe(ValueError("bad \x00 \ud800" + "x" * 1000))

    relay.tell(queued, "failed", error=told)

    assert len(told) == 500
    assert relay.row(queued)["last_error"] == told
