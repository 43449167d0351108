"""What an open console costs: people who have the overview open, while nothing happens."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import SHUT_RDWR

from rich.console import Console
from rich.table import Table

from benchmarks import usage
from benchmarks.errors import BenchmarkError
from benchmarks.running import Running

REFRESH = 15.0
"""Seconds after which the overview is read again even if nothing has happened (parts.html.j2)."""

SETTLED = 5.0


class Viewer:
    """A browser that shows the overview: it listens to `GET /live`, and reads the page again as the page's script does.

    `read`: how often it has read the page.
    """

    def __init__(self, port: int) -> None:
        self.read = 0
        self._port = port
        self._ended = threading.Event()
        self._look("/console")
        self._live = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._live.request("GET", "/live")
        self._answer = self._live.getresponse()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._listen, self._refresh)]
        for thread in self._threads:
            thread.start()

    def _look(self, path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != http.client.OK:
            raise BenchmarkError(f"GET {path}: {answer.status}")
        self.read += 1

    def _listen(self) -> None:
        while line := self._answer.readline():
            if line.startswith(b"event:"):
                self._look("/console/overview")

    def _refresh(self) -> None:
        while not self._ended.wait(REFRESH):
            self._look("/console/overview")

    def leave(self) -> None:
        """Close the page."""
        self._ended.set()
        if self._live.sock:
            self._live.sock.shutdown(SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._live.close()


@contextmanager
def watching(running: Running, viewers: int) -> Iterator[list[Viewer]]:
    """Have the overview open this number of times."""
    opened = [Viewer(running.place.port) for _ in range(viewers)]
    try:
        yield opened
    finally:
        for viewer in opened:
            viewer.leave()


def measure(running: Running, viewers: int, seconds: float) -> dict[str, float]:
    """Return CPU of users-api and of PostgreSQL in seconds for each second, transactions, and pages read a second."""
    with watching(running, viewers) as opened:
        time.sleep(SETTLED)
        pages = sum(viewer.read for viewer in opened)
        before = usage.read(running)
        time.sleep(seconds)
        used = usage.read(running).since(before)
        pages = sum(viewer.read for viewer in opened) - pages
    return {
        "viewers": viewers,
        "cpu_api": used.services["users-api"] / used.at,
        "cpu_postgres": used.postgres / used.at,
        "transactions": used.transactions / used.at,
        "pages": pages / used.at,
    }


def show(measured: list[dict[str, float]], console: Console) -> None:
    """Print a row for each time it was measured."""
    table = Table(title="the overview is open, and nothing happens", title_justify="left")
    for title in ("viewers", "users-api, CPU ms/s", "PostgreSQL, CPU ms/s", "transactions/s", "pages read/s"):
        table.add_column(title, justify="right")
    for each in measured:
        cpu = [f"{1000 * each[name]:.1f}" for name in ("cpu_api", "cpu_postgres")]
        table.add_row(f"{each['viewers']:.0f}", *cpu, f"{each['transactions']:.1f}", f"{each['pages']:.2f}")
    console.print(table)
