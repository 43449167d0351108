"""Rows: a table for people, lines for programs."""

from collections.abc import Iterable, Sequence

import typer

from users_api.herald import output


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in a terminal; elsewhere a line for each row, its cells separated by tabs, after the headings."""
    if output.in_terminal():
        from users_api.herald import tables

        tables.print_table(headings, rows)
        return
    for row in (headings, *rows):
        typer.echo("\t".join(output.text(cell) for cell in row))
