import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import profile, statistics
from benchmarks.errors import BenchmarkError
from benchmarks.places import PAGE, SUMMARY
from benchmarks.report import render
from benchmarks.summary import figures, summarise, write
from benchmarks.table import in_words, show


def system(title: str, processed: float) -> dict[str, Any]:
    burst = {"posts": 1000.0, "p50": 0.01, "p99": 0.02, "processed": processed, "cpu_services": 0.5}
    burst |= {"cpu_servers": 0.1, "memory_services": 100 * 1024**2}
    lags = {"p50": -0.001, "p99": 0.2, "all": [0.1] * 200}
    lag = {pace: {"mail": lags, "audit": lags} for pace in ("steady", "sparse")}
    lost = {"users": 300, "no_mail": 0, "no_audit": 7, "repeated_mails": 0, "repeated_audits": 0, "settled": 1.0}
    return {"title": title, "rounds": [{"burst": burst, "lag": lag, "kill": lost}, {"burst": burst}]}


FLOOR = {"title": "floor", "rounds": [{"burst": {"posts": 1.0, "processed": None}}]}
MACHINE = {"when": "2026-11-27", "commit": "abc", "cpu": "a CPU", "cores": 2, "memory_gib": 24, "kernel": "6"}
MACHINE |= {"python": "3", "postgresql": "18", "redis": "6", "fsyncs": 4115, "plain_mails": 447}
RAW: dict[str, Any] = {
    "systems": {"herald": system("Herald", 800.0), "dramatiq": system("Dramatiq", 200.0), "floor": FLOOR},
    "machine": {**MACHINE, "versions": {"rq": "3"}},
    "plan": {"rounds": 2, "registrations": 10, "phases": ["burst"]},
}


def test_a_summary_has_the_median_and_the_spread_of_each_figure_and_no_samples(tmp_path: Path) -> None:
    rounds = [{"burst": {"posts": posts, "processed": None}, "lag": {"all": [1, 2]}} for posts in (3.0, 1.000004, 9.5)]

    assert figures(rounds) == {"burst.posts": [3, 1, 9.5]}

    write(summarise(RAW), tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == summarise(RAW)


def test_the_table_takes_the_place_of_the_old_one_with_ratios_to_dramatiq(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")

    render(summarise(RAW), page)

    text = page.read_text()
    assert text.startswith("before\n<!-- bench -->\n2026-11-27, commit abc: 2 rounds of 10 registrations")
    assert text.endswith("|\n<!-- /bench -->\nafter\n")
    assert "old" not in text
    row = "| Herald | 1,000 (1.00 x) | 800 (4.00 x) | 0.50 (1.00 x) | 100 (1.00 x) | -1.0 / 200.0 | -1.0 / 200.0 |  |"
    assert f"{row} 0 / 7 |  |" in text
    assert "| floor | 1 (0.00 x) |  |  |" in text


def test_a_page_without_a_place_for_the_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("nothing")

    with pytest.raises(BenchmarkError, match="no place for the table"):
        render(summarise(RAW), path)


def test_the_page_of_this_repository_is_made_from_its_summary(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text(PAGE.read_text())

    render(json.loads(SUMMARY.read_text()), copy)

    assert copy.read_text() == PAGE.read_text()


def test_a_terminal_shows_every_figure_and_the_gist_of_a_round() -> None:
    console = Console(record=True, width=200)

    show(summarise(RAW), console)

    assert [line.split()[0] for line in console.export_text().splitlines() if "Dramatiq" in line] == ["│"] * 3
    assert in_words(figures([{"burst": {"posts": 1.0, "processed": None}}])) == "1 POST/s"


def test_percentiles() -> None:
    assert statistics.percentile(range(1, 101), 99) == 99
    assert statistics.percentile([3, 1, 2], 50) == 2
    assert statistics.percentile([1], 99) == 1


def test_a_profile_counts_a_function_once_for_each_sample(tmp_path: Path) -> None:
    path = tmp_path / "raw.txt"
    path.write_text("main (a.py:1);f (a.py:2);f (a.py:3) 3\nmain (a.py:1);g (b.py:9) 1\n")

    read = profile.read(path)

    assert read.samples == 4
    assert read.own["f (a.py)"] == 3
    assert read.inclusive == {"main (a.py)": 4, "f (a.py)": 3, "g (b.py)": 1}
