from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots, profile, statistics
from benchmarks.errors import BenchmarkError
from benchmarks.places import PAGE
from benchmarks.report import TABLES, render
from benchmarks.table import value


def system(title: str, processed: float) -> dict[str, Any]:
    burst = {"posts": 1000.0, "p50": 0.01, "p99": 0.02, "processed": processed, "cpu_services": 0.5}
    burst |= {"cpu_servers": 0.1, "memory_services": 100 * 1024**2}
    lags = {"p50": -0.001, "p99": 0.2}
    lag = {pace: {"mail": lags, "audit": lags} for pace in ("steady", "sparse")}
    lost = {"users": 300, "no_mail": 0, "no_audit": 7, "repeated_mails": 0, "repeated_audits": 0, "settled": 1.0}
    return {"title": title, "rounds": [{"burst": burst, "lag": lag, "kill": lost}, {"burst": burst}]}


RESULTS: dict[str, Any] = {
    "systems": {"herald": system("Herald", 800.0), "dramatiq": system("Dramatiq", 200.0)},
    "machine": {"cpu": "a CPU", "versions": {"rq": "3"}},
    "plan": {"rounds": 2, "registrations": 10, "phases": ["burst"]},
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text("before\n" + "".join(f"<!-- bench:{name} -->\nold\n<!-- /bench -->\n" for name in TABLES))
    return path


def test_tables_take_the_place_of_the_old_ones_with_ratios_to_dramatiq(page: Path) -> None:
    render(RESULTS, page)

    text = page.read_text()
    assert text.startswith("before\n")
    assert "old" not in text
    assert "800 (4.00 x)" in text
    assert "| -1.0 | 200.0 |" in text
    assert "| Herald | 300 | 0 | 7 | 0 | 0 | 1.0 |" in text
    render(RESULTS, page)
    assert page.read_text() == text


def test_a_page_without_a_place_for_a_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("nothing")

    with pytest.raises(BenchmarkError, match="no place for `machine`"):
        render(RESULTS, path)


def test_the_page_of_this_repository_has_every_place(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text(PAGE.read_text())

    render(RESULTS, copy)


def test_pictures_are_drawn_from_what_there_is(tmp_path: Path) -> None:
    floor = {"title": "floor", "rounds": [{"burst": {"posts": 1.0, "processed": None}}]}

    drawn = plots.draw({"systems": {**RESULTS["systems"], "floor": floor}}, tmp_path)

    assert all(path.read_text().startswith("<?xml") for path in drawn)


def test_percentiles_and_medians() -> None:
    assert statistics.percentile(range(1, 101), 99) == 99
    assert statistics.percentile([3, 1, 2], 50) == 2
    assert statistics.percentile([1], 99) == 1
    assert value({"rounds": [{"a": {"b": 1}}, {}, {"a": {"b": 3}}]}, "a.b") == 2


def test_a_profile_counts_a_function_once_for_each_sample(tmp_path: Path) -> None:
    path = tmp_path / "raw.txt"
    path.write_text("main (a.py:1);f (a.py:2);f (a.py:3) 3\nmain (a.py:1);g (b.py:9) 1\n")

    read = profile.read(path)

    assert read.samples == 4
    assert read.own["f (a.py)"] == 3
    assert read.inclusive == {"main (a.py)": 4, "f (a.py)": 3, "g (b.py)": 1}
