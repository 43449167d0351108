"""How long each page of the console takes: its first request, and the median of those that follow."""

import http.client
import time
from collections.abc import Mapping
from statistics import median
from typing import Any, LiteralString
from urllib.parse import urlencode

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.errors import BenchmarkError

REPEATS = 9

LOADING = "/console/register"
"""A process loads the console with its first page. That is measured by itself."""


_EXAMPLES: LiteralString = """
-- The event of the first registration, and the error of some failure.
SELECT (SELECT id FROM events WHERE subject = 'users/1' LIMIT 1),
    (SELECT last_error FROM deliveries WHERE state = 'failed' LIMIT 1)
"""


def measure(port: int, database_url: str) -> dict[str, dict[str, float]]:
    """Return milliseconds by page: `first`, `median` of REPEATS, and `kb`, the size."""
    return {page: _page(port, path) for page, path in _paths(database_url).items()}


def load(port: int) -> float:
    """Return the milliseconds of the first page of a process."""
    return _get(port, LOADING)[0]


def _paths(database_url: str) -> Mapping[str, str]:
    with psycopg.connect(database_url) as connection:
        event, error = connection.execute(_EXAMPLES).fetchone() or ("", "")

    def deliveries(**wanted: object) -> str:
        return f"/console/deliveries?{urlencode(wanted)}"

    return {
        "Overview": "/console",
        "Failures": "/console/failures",
        "Failures that ended in the last three days": "/console/failures?finished_since=3d",
        "Failures of one effect": "/console/failures?subscription=webhook",
        "Deliveries": deliveries(),
        "Deliveries that failed": deliveries(state="failed"),
        "Deliveries that failed in the last three days": deliveries(state="failed", finished_since="3d"),
        "Deliveries that succeeded in the last hour": deliveries(state="succeeded", finished_since="1h"),
        "Deliveries that succeeded": deliveries(state="succeeded"),
        "Deliveries that are cancelled (none)": deliveries(state="cancelled"),
        "Deliveries of one effect, in a time": deliveries(subscription="webhook", since="12d", until="10d"),
        "Deliveries with an error that is rare": deliveries(error=error[-6:]),
        "Deliveries with an error that no delivery has": deliveries(error="nothing like that"),
        "Deliveries of one group": deliveries(group=error),
        "One user": "/console/users/1",
        "One event": f"/console/events/{event}",
        "Uncertain": "/console/uncertain",
        "Operations": "/console/operations",
        "Schedules": "/console/schedules",
        "Before a bulk retry": "/console/bulk?action=retry&state=failed",
        "Before a replay": "/console/bulk?action=replay&subscription=audit_log&since=10d",
        "GET /status": "/status",
        "GET /deliveries/groups": "/deliveries/groups",
        "GET /metrics": "/metrics",
    }


def _page(port: int, path: str) -> dict[str, float]:
    first, size = _get(port, path)
    return {"first": first, "median": median(_get(port, path)[0] for _ in range(REPEATS)), "kb": size / 1000}


def _get(port: int, path: str) -> tuple[float, int]:
    """Return the milliseconds of a request over a connection of its own, and the bytes of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    took = 1000 * (time.perf_counter() - began)
    connection.close()
    if answer.status != http.client.OK:
        raise BenchmarkError(f"GET {path}: {answer.status} {body[:300].decode(errors='replace')}")
    return took, len(body)


def show(measured: Mapping[int, Mapping[str, Mapping[str, float]]], console: Console) -> None:
    """Print a column for each number of errors: first / median, in milliseconds."""
    table = Table(title="milliseconds: first request / median of those that follow", title_justify="left")
    table.add_column("page")
    for errors in measured:
        table.add_column(f"{errors:,} errors", justify="right")
    for page in next(iter(measured.values())):
        table.add_row(page, *(_cell(pages[page]) for pages in measured.values()))
    console.print(table)


def _cell(figures: Mapping[str, Any]) -> str:
    return f"{figures['first']:.0f} / {figures['median']:.0f}"
