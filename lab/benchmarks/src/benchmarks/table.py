"""The figures: what each is called, where it is found, and how it is shown. What is shown is the median."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

MIB = 1024**2


@dataclass(frozen=True)
class Column:
    """One figure: its path into a round's measurements, and how it is shown."""

    title: str
    path: str
    scale: float = 1
    form: str = ",.0f"


BURST = (
    Column("POST/s", "burst.posts"),
    Column("answered 503", "burst.refused"),
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


def cell(system: dict[str, Any], column: Column) -> str:
    """Return a system's figure as text; "" where it has none."""
    figure = system["figures"].get(column.path)
    return format(figure[0] * column.scale, column.form) if figure else ""


def show(summary: dict[str, Any], console: Console) -> None:
    """Print the medians."""
    for name, columns in TABLES.items():
        table = Table("", title=name, title_justify="left")
        for column in columns:
            table.add_column(column.title, justify="right")
        for system in summary["systems"].values():
            cells = [cell(system, column) for column in columns]
            if any(cells):
                table.add_row(system["title"], *cells)
        if table.row_count:
            console.print(table)


def in_words(figures: dict[str, list[float]]) -> str:
    """Say the gist of one round."""
    gist = [(cell({"figures": figures}, column), column.title) for column in (*BURST, *LAG[:1], *LOST)]
    return ", ".join(f"{text} {title}" for text, title in gist if text)
