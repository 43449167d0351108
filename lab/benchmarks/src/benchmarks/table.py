"""The figures, as medians over the rounds: what they are called, and where each is found."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

MIB = 1024**2


@dataclass(frozen=True)
class Column:
    """One figure: its place in a round's measurements, by dots, and how it is shown."""

    title: str
    path: str
    scale: float = 1
    form: str = ",.0f"


BURST = (
    Column("POST/s", "burst.posts"),
    Column("p50 ms", "burst.p50", 1000, ".1f"),
    Column("p99 ms", "burst.p99", 1000, ".1f"),
    Column("processed/s", "burst.processed"),
    Column("CPU s/1,000", "burst.cpu_services", 1, ".2f"),
    Column("servers' CPU", "burst.cpu_servers", 1, ".2f"),
    Column("memory MiB", "burst.memory_services", 1 / MIB),
)
LAG = tuple(
    Column(f"{effect} {share} ms", f"lag.{pace}.{effect}.{share}", 1000, ".1f")
    for pace in ("steady", "sparse")
    for effect in ("mail", "audit")
    for share in ("p50", "p99")
)
IDLE = (
    Column("services' CPU ms/s", "idle.cpu_services", 1000, ".1f"),
    Column("servers' CPU ms/s", "idle.cpu_servers", 1000, ".1f"),
    Column("Redis commands/s", "idle.commands", 1, ".1f"),
    Column("transactions/s", "idle.transactions", 1, ".1f"),
)
LOST = tuple(
    Column(title, f"{how}.{path}", 1, form)
    for how in ("kill", "flush")
    for title, path, form in [
        ("users", "users", ",.0f"),
        ("no mail", "no_mail", ",.0f"),
        ("no audit", "no_audit", ",.0f"),
        ("mails twice", "repeated_mails", ",.0f"),
        ("audit twice", "repeated_audits", ",.0f"),
        ("settled s", "settled", ".1f"),
    ]
)
TABLES = {"burst": BURST, "lag": LAG, "idle": IDLE, "lost": LOST}


def value(measured: dict[str, Any], path: str) -> float | None:
    """Return the median of a figure over the rounds; None where there is none."""
    found = [each for each in (_dig(one, path) for one in measured["rounds"]) if each is not None]
    return median(found) if found else None


def _dig(measured: Any, path: str) -> Any:
    for word in path.split("."):
        measured = measured.get(word) if measured else None
    return measured


def cell(measured: dict[str, Any], column: Column) -> str:
    """Return a figure as text; nothing, where there is none."""
    found = value(measured, column.path)
    return "" if found is None else format(found * column.scale, column.form)


def rows(results: dict[str, Any], columns: tuple[Column, ...]) -> list[tuple[str, list[str]]]:
    """Return title and cells of each system that has any of these figures."""
    every = [(each["title"], [cell(each, column) for column in columns]) for each in results["systems"].values()]
    return [(title, cells) for title, cells in every if any(cells)]


def show(results: dict[str, Any], console: Console) -> None:
    """Print the medians."""
    for name, columns in TABLES.items():
        if found := rows(results, columns):
            table = Table(title=name, title_justify="left")
            table.add_column("")
            for column in columns:
                table.add_column(column.title, justify="right")
            for title, cells in found:
                table.add_row(title, *cells)
            console.print(table)


def in_words(measured: dict[str, Any]) -> str:
    """Say the gist of what was measured just now."""
    gist = (
        *BURST[:1],
        Column("answered 503", "burst.refused"),
        BURST[3],
        BURST[4],
        Column("ms mail lag", "lag.steady.mail.p50", 1000, ".1f"),
        *LOST,
    )
    once = {"rounds": [measured]}
    return ", ".join(f"{cell(once, column)} {column.title}" for column in gist if cell(once, column))
