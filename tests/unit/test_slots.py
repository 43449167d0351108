"""The slots of schedules: what a cron expression means when clocks change, and what is made after a downtime."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import SCHEDULES, Schedule
from contracts.events import ReportDue
from messaging.errors import ConfigurationError
from messaging.publishing import slots as module
from messaging.publishing.slots import GRACE, due, require_readable, slots

MINUTE = timedelta(minutes=1)


def schedule(cron: str, time_zone: str = "UTC", catch_up: str = "last") -> Schedule:
    return Schedule.model_validate(
        {"name": "test", "cron": cron, "time_zone": time_zone, "event": ReportDue, "catch_up": catch_up}
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(made: Schedule, after: str, number: int) -> list[str]:
    """Return slots as their zone's clock shows them."""
    zone = ZoneInfo(made.time_zone)
    return [slot.astimezone(zone).strftime("%d %H:%M%z") for slot in islice(slots(made, utc(after)), number)]


def test_every_declared_schedule_can_be_read() -> None:
    require_readable(SCHEDULES)


# The change of the clocks


@pytest.mark.parametrize(
    ("zone", "after", "expected"),
    [
        ("Europe/Berlin", "2026-03-28T00:00", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        ("America/New_York", "2026-03-07T00:00", ["07 02:30-0500", "08 03:00-0400", "09 02:30-0400"]),
        ("Australia/Lord_Howe", "2026-10-02T00:00", ["03 02:30+1030", "04 02:30+1100", "05 02:30+1100"]),
    ],
)
def test_a_time_that_the_clocks_skip_comes_when_they_have_changed(zone: str, after: str, expected: list[str]) -> None:
    assert shown(schedule("30 2 * * *", zone), after, 3) == expected


def test_a_shift_of_half_an_hour_skips_half_an_hour() -> None:
    at_0215 = schedule("15 2 * * *", "Australia/Lord_Howe")
    assert shown(at_0215, "2026-10-02T00:00", 3) == ["03 02:15+1030", "04 02:30+1100", "05 02:15+1100"]


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T00:00", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T00:00", ["31 01:30-0400", "01 01:30-0400", "02 01:30-0500"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-03T00:00", ["04 01:45+1100", "05 01:45+1100", "06 01:45+1030"]),
    ],
)
def test_a_time_that_the_clocks_show_twice_comes_once(zone: str, cron: str, after: str, expected: list[str]) -> None:
    assert shown(schedule(cron, zone), after, 3) == expected


def test_in_the_second_of_two_equal_hours_no_slot_of_the_first_comes_again() -> None:
    daily = schedule("30 2 * * *", "Europe/Berlin")
    assert shown(daily, "2026-10-25T01:15", 1) == ["26 02:30+0100"], "it is 02:15 for the second time"


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        ("Europe/Berlin", "*/30 * * * *", "2026-03-29T00:00", ["29 01:30+0100", "29 03:00+0200"]),
        ("Europe/Berlin", "30 * * * *", "2026-10-25T00:00", ["25 02:30+0200", "25 02:30+0100", "25 03:30+0100"]),
        ("America/New_York", "0 * * * *", "2026-03-08T05:30", ["08 01:00-0500", "08 03:00-0400"]),
        ("America/New_York", "0 * * * *", "2026-11-01T04:30", ["01 01:00-0400", "01 01:00-0500", "01 02:00-0500"]),
        ("Australia/Lord_Howe", "0 * * * *", "2026-10-03T14:00", ["04 01:00+1030", "04 03:00+1100"]),
        ("Australia/Lord_Howe", "0 * * * *", "2026-04-04T13:30", ["05 01:00+1100", "05 02:00+1030"]),
        ("Australia/Lord_Howe", "*/15 * * * *", "2026-04-04T14:40", ["05 01:45+1100", "05 01:30+1030"]),
    ],
)
def test_an_expression_for_every_hour_follows_the_clock(zone: str, cron: str, after: str, expected: list[str]) -> None:
    assert shown(schedule(cron, zone), after, len(expected)) == expected


CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "Australia/Lord_Howe": ("2026-10-03T15:30", "2026-04-04T15:00"),
    "UTC": ("2026-03-29T01:00",),
}
AROUND = st.sampled_from([(zone, change) for zone, changes in CHANGES.items() for change in changes])


def fits(value: int, text: str) -> bool:
    if text.startswith("*/"):
        return value % int(text[2:]) == 0
    return text == "*" or value in {int(each) for each in text.split(",")}


def oracle(minute: str, hour: str, zone: ZoneInfo, start: datetime) -> Iterator[datetime]:
    """Look at every minute of two days, without any knowledge of cron's calendar."""
    if "*" in (minute[0], hour[0]):
        for count in range(2 * 1440):
            local = (start + count * MINUTE).astimezone(zone)
            if fits(local.minute, minute) and fits(local.hour, hour):
                yield start + count * MINUTE
        return
    first = start.astimezone(zone).replace(tzinfo=None) - timedelta(hours=3)
    for count in range(2 * 1440 + 360):
        named = first + count * MINUTE
        if fits(named.minute, minute) and fits(named.hour, hour):
            while named.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != named:
                named += MINUTE  # the clocks skip it
            yield named.replace(tzinfo=zone).astimezone(UTC)


@settings(max_examples=60, deadline=None)
@given(
    AROUND,
    st.integers(0, 2000),
    st.sampled_from(["*", "*/20", "0", "30", "0,15,45", "59"]),
    st.sampled_from(["*", "*/3", "1", "2", "1,2,3", "3", "23"]),
)
def test_slots_are_those_that_a_look_at_every_minute_finds(
    around: tuple[str, str], before: int, minute: str, hour: str
) -> None:
    zone, start = around[0], utc(around[1]) - before * MINUTE
    end = start + timedelta(days=1)
    expected = sorted({slot for slot in oracle(minute, hour, ZoneInfo(zone), start) if start < slot <= end})
    found = []
    for slot in slots(schedule(f"{minute} {hour} * * *", zone), start):
        if slot > end:
            break
        found.append(slot)

    assert found == expected


# What is made after a downtime

HOURLY = "0 * * * *"


def hours(made: list[datetime]) -> list[int]:
    return [slot.hour for slot in made]


@pytest.mark.parametrize(("catch_up", "expected"), [("last", [9]), ("all", [7, 8, 9]), ("none", [])])
def test_after_a_downtime_the_policy_decides(catch_up: str, expected: list[int]) -> None:
    made = due(schedule(HOURLY, catch_up=catch_up), utc("2026-01-01T06:00"), utc("2026-01-01T09:30"))
    assert hours(made) == expected


@pytest.mark.parametrize(("catch_up", "expected"), [("last", [9]), ("all", [7, 8, 9]), ("none", [9])])
def test_a_slot_within_the_grace_is_punctual(catch_up: str, expected: list[int]) -> None:
    now = utc("2026-01-01T09:00") + GRACE - timedelta(seconds=1)
    assert hours(due(schedule(HOURLY, catch_up=catch_up), utc("2026-01-01T06:00"), now)) == expected


@pytest.mark.parametrize("catch_up", ["last", "all", "none"])
def test_no_slot_is_made_before_its_time_or_twice(catch_up: str) -> None:
    made = schedule(HOURLY, catch_up=catch_up)
    assert due(made, utc("2026-01-01T06:00"), utc("2026-01-01T06:59:59")) == []
    assert due(made, utc("2026-01-01T07:00"), utc("2026-01-01T07:00:01")) == []
    assert hours(due(made, utc("2026-01-01T06:00"), utc("2026-01-01T07:00"))) == [7]


@pytest.mark.parametrize("since", ["1990-01-01T00:00", "2025-12-31T23:58:30"])
def test_the_last_of_many_missed_slots_is_found_without_reading_them_all(since: str) -> None:
    at_night = schedule("* 0-6 * * *")
    began = datetime.now(UTC)
    assert due(at_night, utc(since), utc("2026-01-01T23:30")) == [utc("2026-01-01T06:59")]
    assert datetime.now(UTC) - began < timedelta(seconds=2)


def test_all_missed_slots_come_in_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    made, now = schedule(HOURLY, catch_up="all"), utc("2026-01-01T05:30")

    first = due(made, utc("2026-01-01T00:00"), now)

    assert hours(first) == [1, 2]
    assert hours(due(made, first[-1], now)) == [3, 4]


# Expressions that can't be read


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("0 6 * *", "write five fields"),
        ("0 0 6 * * *", "write five fields"),
        ("61 6 * * *", "Bad minute"),
        ("0 25 * * *", "Bad hour"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 * * 5L/2", "Bad day-of-week"),
        ("daily", "write five fields"),
    ],
)
def test_an_expression_that_cannot_be_read_says_how_to_write_it(cron: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=f"contracts/schedules.py: the schedule test has .*{says}") as caught:
        require_readable([schedule(cron)])

    assert '"0 6 * * MON-FRI"' in str(caught.value)


@pytest.mark.parametrize("zone", ["", "Mars/Phobos", "../../etc/passwd", "Europe"])
def test_an_unknown_time_zone_says_how_to_write_one(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="write one such as Europe/Berlin"):
        require_readable([schedule("0 6 * * *", zone)])


def test_a_name_declared_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="declared twice"):
        require_readable([schedule("0 6 * * *"), schedule("0 7 * * *")])
