"""The sink, as the harness sees it: a process of its own, asked over its own port."""

import json
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.errors import Unsettled
from devstack.ports import free_port
from devstack.processes import Process


class SinkProcess:
    """The mail server of one system."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.url = f"smtp://127.0.0.1:{self.port}"
        argv = [sys.executable, "-m", "benchmarks.sink", "--port", str(self.port)]
        self.process = Process("sink", argv, output=log)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process.start()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with suppress(OSError):
                self.count()
                return
            time.sleep(0.02)
        raise Unsettled("the sink did not start")

    def kill(self) -> None:
        """End it."""
        self.process.kill()

    def count(self) -> int:
        """Return how many mails it has accepted since the last take."""
        return int(self._ask("XCOUNT"))

    def take(self) -> list[tuple[float, str]]:
        """Return time and recipient of every mail since the last take."""
        return [(at, recipient) for at, recipient in json.loads(self._ask("XTAKE"))]

    def _ask(self, command: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(f"{command}\r\nQUIT\r\n".encode())
            with connection.makefile("r") as lines:
                lines.readline()  # the greeting
                return lines.readline().removeprefix("250 ").strip()
