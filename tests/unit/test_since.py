"""What `--since` takes for a time: whatever Herald itself prints, and what people write."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from users_api.since import _parse_time, read_time

NOW = datetime(2026, 11, 29, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-11-23", "2026-11-23T00:00:00+00:00"),
        ("20261123", "2026-11-23T00:00:00+00:00"),
        ("2026-11-23T16:27:01", "2026-11-23T16:27:01+00:00"),
        ("2026-11-23 16:27:01", "2026-11-23T16:27:01+00:00"),
        ("2026-11-23T16:27:01Z", "2026-11-23T16:27:01+00:00"),
        ("2026-11-23T16:27:01+00:00", "2026-11-23T16:27:01+00:00"),
        ("2026-11-23T16:27:01.123456Z", "2026-11-23T16:27:01.123456+00:00"),  # as logs have it
        ("2026-11-23T16:27:01.123+02:00", "2026-11-23T14:27:01.123+00:00"),  # as `auditor log` has it
        ("2026-11-23 16:27:01.5+00", "2026-11-23T16:27:01.5+00:00"),  # as psql has it
        ("12:00", "2026-11-29T12:00:00+00:00"),
        ("12:00:01Z", "2026-11-29T12:00:01+00:00"),
        ("90S", "2026-11-29T18:28:30+00:00"),
        ("10M", "2026-11-29T18:20:00+00:00"),
        ("2H", "2026-11-29T16:30:00+00:00"),
        ("3D", "2026-11-26T18:30:00+00:00"),
        ("04:00+10:00", "2026-11-29T18:00:00+00:00"),  # there it is the 30th
    ],
)
def test_times_are_read_as_utc_unless_they_say_otherwise(text: str, means: str) -> None:
    assert _parse_time(text, NOW) == datetime.fromisoformat(means)


@pytest.mark.parametrize(
    "text",
    ["soon", "", "10", "m", "1w", "999999d", "1764000000", "2026", "12", "25:00", "2026-13-01", "2026-11-23T16:27 CET"],
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is not a time. Write it as 10m, 12:00 or \d{4}-\d\d-\d\dT"):
        read_time(text)


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-14:00", (datetime.now(UTC) + timedelta(hours=1)).isoformat()],
    ids=["the last moment", "in an hour"],
)
def test_what_is_in_the_future_can_match_nothing(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is in the future: no event can match"):
        read_time(text)


def test_the_first_and_the_lower_case_are_times_too() -> None:
    assert read_time("0001-01-01T00:00:00+14:00").year == 1
    assert read_time(" 2026-01-01t10:00:00z ") == datetime(2026, 1, 1, 10, tzinfo=UTC)
