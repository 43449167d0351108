"""The report: tables between markers of a Markdown page, and pictures beside it. All of it from the JSON alone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.table import BURST, IDLE, LAG, LOST, Column, rows, value

BASELINE = "dramatiq"
RATIOS = {"POST/s", "processed/s", "CPU s/1,000", "memory MiB"}


def render(results: dict[str, Any], page: Path) -> None:
    """Write every table between its markers, `<!-- bench:NAME -->` and `<!-- /bench -->`."""
    text = page.read_text()
    for name, table in TABLES.items():
        marked = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench -->)", re.DOTALL)
        if not marked.search(text):
            raise BenchmarkError(f"{page} has no place for `{name}`: add <!-- bench:{name} --> and <!-- /bench -->.")
        text = marked.sub(lambda found, table=table: f"{found[1]}{table(results)}\n{found[2]}", text)  # type: ignore[misc]
    page.write_text(text)


def _burst(results: dict[str, Any]) -> str:
    """Each figure, and its ratio to plain Dramatiq's of the same run."""
    baseline = results["systems"].get(BASELINE)
    lines = []
    for measured in results["systems"].values():
        title, cells = next(iter(rows({"systems": {"": measured}}, BURST)), ("", []))
        if title:
            each = zip(BURST, cells, strict=True)
            lines.append([title, *(f"{cell}{_ratio(measured, baseline, column)}" for column, cell in each)])
    return f"![Burst](performance/burst.svg)\n\n{markdown(['', *(column.title for column in BURST)], lines)}"


def _ratio(measured: dict[str, Any], baseline: dict[str, Any] | None, column: Column) -> str:
    if baseline is None or column.title not in RATIOS:
        return ""
    ours, theirs = value(measured, column.path), value(baseline, column.path)
    return f" ({ours / theirs:.2f} x)" if ours is not None and theirs else ""


def _plain(columns: tuple[Column, ...]) -> Callable[[dict[str, Any]], str]:
    def table(results: dict[str, Any]) -> str:
        found = rows(results, columns)
        if not found:
            return "Not measured in this run."
        return markdown(["", *(column.title for column in columns)], [[title, *cells] for title, cells in found])

    return table


def _lag(results: dict[str, Any]) -> str:
    """One table for each pace."""
    half = len(LAG) // 2
    tables = [("Steady, 20 a second", LAG[:half]), ("Sparse, one in about 1.5 s", LAG[half:])]
    return f"![Lag](performance/lag.svg)\n\n{_titled(tables, results)}"


def _lost(results: dict[str, Any]) -> str:
    """One table for each disaster."""
    half = len(LOST) // 2
    return _titled([("`kill -9` of every process", LOST[:half]), ("`FLUSHALL` of Redis", LOST[half:])], results)


def _titled(tables: list[tuple[str, tuple[Column, ...]]], results: dict[str, Any]) -> str:
    return "\n\n".join(f"**{title}**\n\n{_plain(columns)(results)}" for title, columns in tables)


def _machine(results: dict[str, Any]) -> str:
    machine = dict(results.get("machine", {}))
    versions = ", ".join(f"{name} {version}" for name, version in machine.pop("versions", {}).items())
    plan = results["plan"]
    facts = {**machine, "versions": versions, "rounds": plan["rounds"], "registrations": plan["registrations"]}
    return markdown(["what", ""], [[NAMES.get(name, name), str(fact)] for name, fact in facts.items()])


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table, figures to the right."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *lines])


NAMES = {
    "memory_gib": "memory, GiB",
    "fsyncs": "8-KiB writes with fdatasync, a second",
    "plain_mails": "mails a second, built and sent as the peers do, and nothing else",
    "registrations": "in each burst",
}
TABLES = {"machine": _machine, "burst": _burst, "lag": _lag, "idle": _plain(IDLE), "lost": _lost}
