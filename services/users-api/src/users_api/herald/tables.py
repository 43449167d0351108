"""Tables for people, in a terminal. A script gets lines (`users_api.herald.output`), and doesn't wait for rich."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from users_api.herald import output

COLOURS: Mapping[str, str] = {
    "failed": "bold red",
    "wrong": "bold red",
    "uncertain": "yellow",
    "retrying": "yellow",
    "look": "yellow",
    "running": "cyan",
    "succeeded": "green",
    "done": "green",
    "ok": "green",
}
"""The colour of a cell that is one of these words."""

BROKEN = frozenset({"error or reference", "group", "details", "found", "what to do", "what"})
"""Columns whose cells are broken into lines. Others aren't: an id has to stay whole to be pasted."""

UNBOUNDED = 10_000
"""More characters than any line has."""


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. A terminal that is too narrow breaks its lines: a number that was cut would be another."""
    console, made = Console(), table(headings, rows)
    for column in made.columns:
        if column.no_wrap:
            column.min_width = max(console.measure(cell).maximum for cell in (column.header, *column.cells))
    needed = made.__rich_measure__(console, console.options.update(max_width=UNBOUNDED)).minimum
    Console(width=max(console.width, needed)).print(made, soft_wrap=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], gap: int = 2) -> Table:
    """Return a table for a terminal. `gap`: how many spaces are between its columns."""
    made = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for heading in headings:
        made.add_column(heading, no_wrap=heading not in BROKEN, overflow="fold")
    for row in rows:
        made.add_row(*map(_styled, row))
    return made


def _styled(cell: object) -> Text:
    written = output.short(cell) if isinstance(cell, datetime) else output.text(cell)
    return Text(written, style=COLOURS.get(written, ""))
