"""What `--since` says of a time that it can't take."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from users_api.since import read_time


@pytest.mark.parametrize(
    "text",
    ["soon", "", "999999d", "2026-13-01"],
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


def test_this_moment_is_not_in_the_future() -> None:
    assert datetime.now(UTC) - read_time("0s") < timedelta(minutes=1)


def test_the_first_and_the_lower_case_are_times_too() -> None:
    assert read_time("0001-01-01T00:00:00+14:00").year == 1
    assert read_time(" 2026-01-01t10:00:00z ") == datetime(2026, 1, 1, 10, tzinfo=UTC)
