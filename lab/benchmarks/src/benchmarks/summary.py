"""The summary of a run: small enough to commit, and all that the tables and the page are made from.

A figure is named by its path into a round's measurements (`lag.steady.mail.p50`). The summary holds its median over the
rounds, its lowest and its highest value.
"""

import json
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.table import TABLES

PATHS = [column.path for columns in TABLES.values() for column in columns]
DIGITS = 5
"""Significant digits of a figure: more than two rounds of one run agree on."""


def summarise(results: dict[str, Any]) -> dict[str, Any]:
    """Reduce a run's raw results to the figures of each system."""
    systems = {
        name: {"title": system["title"], "figures": figures(system["rounds"])}
        for name, system in results["systems"].items()
    }
    return {"plan": results["plan"], "machine": results.get("machine", {}), "systems": systems}


def write(summary: dict[str, Any], path: Path) -> None:
    """Write a summary as JSON with one line for each system, so that a change is easy to review."""
    systems = ",\n".join(f"{json.dumps(name)}: {json.dumps(system)}" for name, system in summary["systems"].items())
    head = "".join(f"{json.dumps(key)}: {json.dumps(summary[key])},\n" for key in ("plan", "machine"))
    path.write_text(f'{{\n{head}"systems": {{\n{systems}\n}}\n}}\n')


def figures(rounds: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return median, lowest and highest of each figure that any round has."""
    found = {path: [value for one in rounds if (value := _dig(one, path)) is not None] for path in PATHS}
    return {path: [_short(pick(values)) for pick in (median, min, max)] for path, values in found.items() if values}


def _dig(measured: Any, path: str) -> Any:
    for word in path.split("."):
        measured = measured.get(word) if measured else None
    return measured


def _short(value: float) -> float:
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
