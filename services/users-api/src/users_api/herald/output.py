"""How results are printed: tables for people, tab-separated lines for programs, JSON on request."""

import json
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from messaging.process.command import as_text
from messaging.publishing.searching import Total
from users_api.console import words

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, in the shapes of the HTTP API.")]

span, size = words.precisely, words.size
"""Durations and sizes read as they do in the console."""


def in_terminal() -> bool:
    """Return whether a person reads what is printed."""
    return sys.stdout.isatty()


def width() -> int:
    """Return how many characters a line of the terminal has."""
    return shutil.get_terminal_size().columns


def short(time: datetime) -> str:
    """Write a time in UTC, without its date if that is today."""
    whole = moment(time)
    date, _, of_day = whole.partition(" ")
    return of_day if date == moment(datetime.now(UTC)).partition(" ")[0] else whole


def print_json(value: object) -> None:
    """Print a value as one line of JSON; in a terminal indented."""
    is_ascii = not sys.stdout.encoding.lower().startswith("utf")
    typer.echo(json.dumps(value, default=as_text, ensure_ascii=is_ascii, indent=2 if in_terminal() else None))


def text(value: object) -> str:
    """Return a value as a cell: one line, without characters that would steer the terminal."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment(value)
    return "".join(character if character.isprintable() else " " for character in str(value))


def moment(time: datetime) -> str:
    """Write a time in UTC, so that `--since` reads it."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def number_of(count: Total | Mapping[str, Any]) -> str:
    """Write a count; one that isn't exact is a lower bound."""
    found = count if isinstance(count, Total) else Total.model_validate(count)
    return f"{found.count:,}" if found.exact else f"at least {found.count:,}"


def counted(count: Total, singular: str = "delivery", plural: str = "deliveries") -> str:
    """Write a count with what is counted: `1 delivery`, `1,204 deliveries`."""
    return f"{number_of(count)} {singular if count.exact and count.count == 1 else plural}"


def total(shown: int, count: Total) -> str:
    """Say how many of how many deliveries are shown: `50 of 1,204 deliveries`."""
    return counted(count) if count.exact and count.count <= shown else f"{shown:,} of {counted(count)}"
