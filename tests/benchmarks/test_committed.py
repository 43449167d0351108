"""What is committed of measurements is small: summaries, no raw samples."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.places import CHECKOUT


def size(path: Path) -> int:
    return path.stat().st_size


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def committed(pattern: str) -> list[Path]:
    return [path for folder in ("docs", "lab") for path in (CHECKOUT / folder).rglob(pattern)]


@pytest.mark.parametrize(
    ("pattern", "measure", "limit"), [("*.png", size, 60_000), ("*.svg", lines, 200), ("*.json", size, 20_000)]
)
def test_plots_and_summaries_are_small(pattern: str, measure: Callable[[Path], int], limit: int) -> None:
    large = {str(path): measure(path) for path in committed(pattern) if measure(path) >= limit}

    assert large == {}
