"""The figures in a terminal."""

from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {
    "POST/s": ("burst.posts", 1, ",.0f"),
    "p50 ms": ("burst.p50", 1000, ".1f"),
    "p99 ms": ("burst.p99", 1000, ".1f"),
    "processed/s": ("burst.processed", 1, ",.0f"),
    "CPU s/1,000": ("burst.cpu_services", 1, ".2f"),
    "servers": ("burst.cpu_servers", 1, ".2f"),
    "MiB": ("burst.memory_services", 1 / 1024**2, ".0f"),
    "mail ms p50": ("lag.steady.mail.p50", 1000, ".1f"),
    "p99": ("lag.steady.mail.p99", 1000, ".1f"),
    "audit p50": ("lag.steady.audit.p50", 1000, ".1f"),
    "sparse mail p50": ("lag.sparse.mail.p50", 1000, ".1f"),
    "sparse audit p50": ("lag.sparse.audit.p50", 1000, ".1f"),
}


def value(measured: dict[str, Any], path: str) -> float | None:
    """Return the median of a figure over the rounds; None where there is none."""
    found = [each for each in (_dig(one, path) for one in measured["rounds"]) if each is not None]
    return median(found) if found else None


def _dig(measured: Any, path: str) -> float | None:
    for word in path.split("."):
        measured = measured.get(word) if measured else None
    return measured


def show(results: dict[str, Any], console: Console) -> None:
    """Print the medians."""
    table = Table()
    table.add_column("")
    for title in COLUMNS:
        table.add_column(title, justify="right")
    for measured in results["systems"].values():
        cells = [(value(measured, path), scale, form) for path, scale, form in COLUMNS.values()]
        table.add_row(measured["title"], *("" if v is None else format(v * scale, form) for v, scale, form in cells))
    console.print(table)
