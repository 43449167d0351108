"""An event's deliveries on a time axis."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from users_api.console.chain_reading import Chain, ChainDelivery
from users_api.console.lanes import Lane, chart
from users_api.schemas import Attempt

BEGIN = datetime(2026, 11, 30, 12, tzinfo=UTC)
NONE: dict[str, Any] = {"due_at": None, "queued_at": None, "started_at": None, "finished_at": None}


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def delivery(state: str, **fields: Any) -> ChainDelivery:
    values = {"event_id": UUID(int=1), "event_type": "user_registered", "subscription": "audit_log", "attempts": 1}
    values |= {"crashes": 0, "generation": 0, "last_error": None, "reference": None, "confirmed_by": None}
    values |= {"created_at": BEGIN, "history": [], "history_omitted": 0}
    return ChainDelivery.model_validate(values | NONE | {"state": state} | fields)


def chain(*deliveries: ChainDelivery, now: float = 100, **fields: Any) -> Chain:
    values = {"now": at(now), "id": UUID(int=1), "type": "user_registered", "subject": "users/1", "envelope": {}}
    values |= {"available_at": BEGIN, "recorded_at": BEGIN, "deliveries": list(deliveries)}
    return Chain.model_validate(values | fields)


def lane(one: ChainDelivery, now: float = 100) -> Lane:
    [_, laid_out] = chart(chain(one, now=now), timedelta(seconds=100)).lanes
    return laid_out


def spans(one: ChainDelivery, now: float = 100) -> list[tuple[str, float, float]]:
    return [(span.kind, span.left, span.width) for span in lane(one, now).spans]


def test_a_success_waits_is_queued_and_runs() -> None:
    one = delivery("succeeded", queued_at=at(10), started_at=at(30), finished_at=at(60))

    assert spans(one) == [("wait", 0, 10), ("queued", 10, 20), ("running", 30, 30)]
    assert (lane(one).end, lane(one).beyond) == (60, False)


def test_attempts_whose_times_are_not_known_are_one_span() -> None:
    one = delivery("failed", attempts=3, queued_at=at(50), started_at=at(60), finished_at=at(70))
    assert [kind for kind, _, _ in spans(one)] == ["earlier", "queued", "running"]


def attempt(queued: float, started: float, ended: float, outcome: str = "retry", **fields: Any) -> Attempt:
    values = {"generation": 0, "number": 1, "outcome": outcome, "error": "busy"}
    values |= {"queued_at": at(queued), "started_at": at(started), "ended_at": at(ended)}
    return Attempt.model_validate(values | fields)


FIRST, SECOND = attempt(2, 4, 10), attempt(20, 22, 30, "crashed", number=2)
TRIED = [("wait", 0, 2), ("queued", 2, 2), ("error", 4, 6), ("wait", 10, 10), ("queued", 20, 2), ("crashed", 22, 8)]
LAST = {"queued_at": SECOND.queued_at, "started_at": SECOND.started_at}


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        ("retrying", {**LAST, "due_at": at(60)}, [("ahead", 30, 30)]),
        ("retrying", {**LAST, "due_at": at(40)}, [("ahead", 30, 10), ("wait", 40, 10)]),
        ("queued", {"queued_at": at(45), "started_at": SECOND.started_at}, [("wait", 30, 15), ("queued", 45, 5)]),
        (
            "running",
            {"queued_at": at(45), "started_at": at(48)},
            [("wait", 30, 15), ("queued", 45, 3), ("running", 48, 2)],
        ),
        (
            "succeeded",
            {"queued_at": at(45), "started_at": at(46), "finished_at": at(49)},
            [("wait", 30, 15), ("queued", 45, 1), ("running", 46, 3)],
        ),
        ("failed", {**LAST, "finished_at": at(30)}, []),
        ("cancelled", {**LAST, "finished_at": at(40)}, [("wait", 30, 10)]),
        ("succeeded", {**LAST, "finished_at": at(40), "confirmed_by": "ada"}, [("undecided", 30, 10)]),
        ("succeeded", {**LAST, "started_at": at(22.5), "finished_at": at(40)}, [("undecided", 30, 10)]),
        ("pending", {**LAST, "due_at": at(40), "generation": 1}, [("stopped", 30, 10), ("wait", 40, 10)]),
        (
            "queued",
            {"queued_at": at(45), "started_at": SECOND.started_at, "generation": 1},
            [("stopped", 30, 15), ("queued", 45, 5)],
        ),
        (
            "retrying",  # an older relay made and didn't record this attempt
            {"queued_at": at(40), "started_at": at(42), "due_at": at(60), "attempts": 3},
            [("earlier", 30, 12), ("ahead", 42, 18)],
        ),
    ],
)
def test_attempts_that_are_known_are_drawn_where_they_were(
    state: str, fields: dict[str, Any], expected: list[tuple[str, float, float]]
) -> None:
    one = delivery(state, **{"attempts": 2, "history": [FIRST, SECOND]} | fields)
    assert spans(one, now=50) == TRIED + expected


def test_an_attempt_is_drawn_over_the_waits_beside_it() -> None:
    one = delivery("running", attempts=3, history=[FIRST, SECOND], queued_at=at(45), started_at=at(48))
    assert [span.kind for span in lane(one).spans if span.is_attempt] == ["error", "crashed", "running"]


def test_an_attempt_says_its_number_how_it_ended_its_error_and_how_long_it_took() -> None:
    one = delivery("failed", attempts=2, history=[FIRST, SECOND], **LAST, finished_at=at(30))
    assert [span.says for span in lane(one).spans if span.kind in ("error", "crashed")] == [
        "attempt 1, retry, 6.0 s: busy",
        "attempt 2, crashed, 8.0 s: busy",
    ]


@pytest.mark.parametrize(
    ("first", "omitted"),
    [({"number": 4}, 0), ({"generation": 1}, 0), ({}, 1)],
    ids=["an older relay", "an older generation", "left out"],
)
def test_what_was_before_the_first_attempt_that_is_known_is_one_span(first: dict[str, Any], omitted: int) -> None:
    known = attempt(20, 22, 30, **first)
    one = delivery("retrying", history=[known], history_omitted=omitted, generation=known.generation,
                   queued_at=at(20), started_at=at(22), due_at=at(60))  # fmt: skip
    assert spans(one)[:3] == [("earlier", 0, 20), ("queued", 20, 2), ("error", 22, 8)]


def test_between_two_generations_nothing_waits() -> None:
    history = [attempt(2, 4, 10, "failed"), attempt(20, 22, 30, generation=1)]
    one = delivery("retrying", history=history, generation=1, queued_at=at(20), started_at=at(22), due_at=at(60))
    assert [kind for kind, _, _ in spans(one)[3:]] == ["stopped", "queued", "error", "ahead", "wait"]


def test_the_receipt_is_what_ended_a_delivery_unless_a_person_or_a_crash_did() -> None:
    ended = {"finished_at": at(30), **LAST}
    assert delivery("succeeded", **ended).reported_at == at(30)
    assert delivery("failed", **ended, history=[attempt(2, 4, 30, "failed")]).reported_at == at(30)
    assert delivery("failed", **ended, history=[attempt(2, 4, 30, "crashed")]).reported_at is None
    assert delivery("succeeded", **ended, history=[attempt(2, 4, 10, "crashed")]).reported_at == at(30)
    assert delivery("succeeded", **ended, confirmed_by="ada").reported_at is None
    assert delivery("cancelled", **ended).reported_at is None
    assert delivery("running", **LAST).reported_at is None


def test_an_attempt_is_not_said_to_have_lasted_until_a_person_confirmed_its_effect() -> None:
    one = delivery("succeeded", confirmed_by="ada", queued_at=at(10), started_at=at(30), finished_at=at(60))
    assert spans(one) == [("wait", 0, 10), ("queued", 10, 20), ("undecided", 30, 30)]


def test_what_is_retried_ends_where_it_is_due() -> None:
    one = delivery("retrying", attempts=2, queued_at=at(9), started_at=at(10), due_at=at(40))
    assert spans(one, now=20) == [("earlier", 0, 10), ("ahead", 10, 30)]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (delivery("pending", due_at=BEGIN), [("wait", 0, 100)]),
        (delivery("pending", due_at=at(50)), [("wait", 0, 100)]),
        (
            delivery("retrying", started_at=at(10), due_at=at(40)),
            [("earlier", 0, 10), ("ahead", 10, 30), ("wait", 40, 60)],
        ),
        (delivery("queued", queued_at=at(10)), [("wait", 0, 10), ("queued", 10, 90)]),
        (
            delivery("running", queued_at=at(10), started_at=at(20)),
            [("wait", 0, 10), ("queued", 10, 10), ("running", 20, 80)],
        ),
        (delivery("cancelled", finished_at=at(30)), [("wait", 0, 30)]),
        (
            delivery("cancelled", queued_at=at(1), started_at=at(10), finished_at=at(30)),
            [("earlier", 0, 10), ("ahead", 10, 20)],
        ),
        (
            delivery("queued", generation=1, queued_at=at(60), started_at=at(10)),
            [("earlier", 0, 60), ("queued", 60, 40)],
        ),
    ],
)
def test_what_is_under_way_goes_on_until_now(one: ChainDelivery, expected: list[tuple[str, float, float]]) -> None:
    assert spans(one) == expected


def test_what_is_too_short_to_see_is_drawn_all_the_same() -> None:
    one = delivery("succeeded", queued_at=at(0.001), started_at=at(0.002), finished_at=at(99.9999))
    assert all(width >= 0.5 for _, _, width in spans(one))
    assert "1 ms" in lane(one).spans[0].says


@pytest.mark.parametrize("ended", [4, 3.999], ids=["at once", "by another clock before it began"])
def test_an_attempt_that_took_no_time_is_drawn_all_the_same(ended: float) -> None:
    claimed = attempt(2, 4, ended, error="another attempt has claimed this effect")
    one = delivery("retrying", history=[claimed], queued_at=at(2), started_at=at(4), due_at=at(60))

    [drawn] = [span for span in lane(one).spans if span.is_attempt]

    assert (drawn.kind, drawn.left, drawn.width) == ("error", 4, 0.6)
    assert drawn.says == "attempt 1, retry, 0 ms: another attempt has claimed this effect"


def test_a_success_that_took_no_time_is_drawn_all_the_same() -> None:
    one = delivery("succeeded", queued_at=at(2), started_at=at(4), finished_at=at(4))
    assert spans(one) == [("wait", 0, 2), ("queued", 2, 2), ("running", 4, 0.6)]


def test_an_attempt_that_never_began_is_drawn_where_that_was_found() -> None:
    lost = Attempt.model_validate(attempt(2, 4, 10, "lost", error=None).model_dump() | {"started_at": None})
    one = delivery("retrying", history=[lost], queued_at=at(2), due_at=at(60))
    [drawn] = [span for span in lane(one).spans if span.is_attempt]
    assert (drawn.kind, drawn.left, drawn.width, drawn.says) == ("crashed", 10, 0.6, "attempt 1, lost")


def test_the_axis_ends_with_what_happened_and_a_far_delivery_points_beyond() -> None:
    sent = delivery("succeeded", queued_at=at(1), started_at=at(2), finished_at=at(10))
    later = delivery("pending", due_at=at(3 * 86_400))
    laid_out = chart(chain(sent, later, now=10))

    assert timedelta(seconds=10) <= laid_out.length < timedelta(seconds=11)
    assert [each.beyond for each in laid_out.lanes] == [False, False, True]
    assert laid_out.ticks[0].label == "0"
    assert 3 <= len(laid_out.ticks) <= 6


def test_what_is_beyond_a_shorter_axis_is_cut_off() -> None:
    one = delivery("succeeded", queued_at=at(50), started_at=at(200), finished_at=at(300))
    assert [(span.kind, span.left + span.width) for span in lane(one).spans] == [("wait", 50), ("queued", 100)]
    assert (lane(one).end, lane(one).beyond) == (None, True)


@pytest.mark.parametrize("seconds", [0, 0.004, 0.3, 7, 100, 5_000, 90_000, 40 * 86_400])
def test_ticks_are_round_and_on_the_axis(seconds: float) -> None:
    one = delivery("succeeded", finished_at=at(seconds))
    ticks = chart(chain(one, now=seconds)).ticks
    assert 2 <= len(ticks) <= 6
    assert all(0 <= tick.left <= 100 for tick in ticks)


@pytest.mark.parametrize(
    ("time", "requested_at"),
    [
        ("2026-11-30T11:59:59.500Z", at(-0.5)),
        ("2026-11-30T12:00:01Z", BEGIN),  # a clock that is ahead
        ("2026-11-30T11:00:00Z", BEGIN),  # a clock that is far behind
        ("2026-11-30T12:00:00", BEGIN),
        ("soon", BEGIN),
        (None, BEGIN),
    ],
)
def test_the_axis_begins_with_the_request_if_the_clocks_agree(time: str | None, requested_at: datetime) -> None:
    one = delivery("succeeded", finished_at=at(10))
    begun = chart(chain(one, envelope={"time": time}), timedelta(seconds=100))
    assert begun.begin == requested_at
    assert begun.lanes[0].name == "request"
