"""What a page and a command take for a time: whatever Herald itself prints, and what people write."""

from datetime import UTC, datetime

import pytest

from users_api.moments import read_moment

NOW = datetime(2026, 11, 29, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-11-23", "2026-11-23T00:00:00+00:00"),
        ("20261123", "2026-11-23T00:00:00+00:00"),
        ("2026-11-23T16:27:01", "2026-11-23T16:27:01+00:00"),
        ("2026-11-23 16:27", "2026-11-23T16:27:00+00:00"),
        ("2026-11-23T16:27:01Z", "2026-11-23T16:27:01+00:00"),
        (" 2026-11-23t16:27:01z ", "2026-11-23T16:27:01+00:00"),
        ("2026-11-23T16:27:01+00:00", "2026-11-23T16:27:01+00:00"),
        ("2026-11-23T16:27:01.123456Z", "2026-11-23T16:27:01.123456+00:00"),  # as logs have it
        ("2026-11-23T16:27:01.123+02:00", "2026-11-23T14:27:01.123+00:00"),  # as `auditor log` has it
        ("2026-11-23 16:27:01.5+00", "2026-11-23T16:27:01.5+00:00"),  # as psql has it
        ("12:00", "2026-11-29T12:00:00+00:00"),
        ("12:00Z", "2026-11-29T12:00:00+00:00"),
        ("12:00:01z", "2026-11-29T12:00:01+00:00"),
        ("12:00+02:00", "2026-11-29T10:00:00+00:00"),
        ("04:00+10:00", "2026-11-29T18:00:00+00:00"),  # there it is the 30th
        ("90s", "2026-11-29T18:28:30+00:00"),
        ("123456s", "2026-11-28T08:12:24+00:00"),
        ("10m", "2026-11-29T18:20:00+00:00"),
        ("10 m", "2026-11-29T18:20:00+00:00"),
        (" 2 H ", "2026-11-29T16:30:00+00:00"),
        ("3D", "2026-11-26T18:30:00+00:00"),
    ],
)
def test_times_are_read_as_utc_unless_they_say_otherwise(text: str, means: str) -> None:
    assert read_moment(text, NOW) == datetime.fromisoformat(means)


@pytest.mark.parametrize(
    "text",
    [
        *("soon", "", "yesterday", "10", "m", "1w", "10 weeks", "999999d", "1764000000", "2026", "12", "25:00"),
        *("12:99", "2026-13-01", "2026-11-23T16:27 CET", "\u0663m", "10\u017f", "\uff12\uff10\uff12\uff16-11-23"),
    ],
    ids=ascii,
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whoever reads it says what is wrong
        read_moment(text, NOW)
