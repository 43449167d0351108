"""How durations and sizes read, in the console and on the command line alike."""

import pytest

from users_api.console import words
from users_api.herald import output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9996, "1.0 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (10, "10 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (119.9, "1 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (90_000, "1 d 1 h"),
        (86_400, "1 d"),
        (None, "\N{EN DASH}"),
    ],
)
def test_a_duration(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "500 ms"),
        (12.9, "12 s"),
        (119.9, "1 min 59 s"),
        (120, "2 min"),
        (140.4, "2 min 20 s"),
        (3599.9, "59 min 59 s"),
        (3600, "1 h"),
    ],
)
def test_below_an_hour_a_duration_may_have_seconds(seconds: float, text: str) -> None:
    assert words.precisely(seconds) == text
    assert output.span(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (48_234_496, "48.2 MB"),
        (482_344_960, "482 MB"),
        (2e12, "2.0 TB"),
        (None, "unknown"),
    ],
)
def test_a_size(number: float | None, text: str) -> None:
    assert words.size(number) == text
    assert output.size(number) == text
