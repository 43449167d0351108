"""`users-api serve` as a process, and clients of it that speak bytes."""

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]  # it has no types of its own
from tests.patience import PATIENCE, until

from devstack.ports import free_port

HEAD = b"POST /users HTTP/1.1\r\nHost: herald\r\nContent-Type: application/json\r\n"
PING = b"GET /livez HTTP/1.1\r\nHost: herald\r\n\r\n"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
"""A database that most of these tests don't need."""


@dataclass(frozen=True)
class Api:
    """`users-api serve`, as a process."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def http(self) -> httpx.Client:
        """A client that keeps no connection."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers={"Connection": "close"}, timeout=PATIENCE)

    def connect(self, *sent: bytes) -> socket.socket:
        """Open a connection and send something."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        for data in sent:
            client.sendall(data)
        return client

    def clients(self) -> set[tuple[str, int]]:
        """Return who is connected."""
        return {each.raddr for each in psutil.Process(self.process.pid).net_connections() if each.raddr}

    def memory(self) -> int:
        """Return the bytes of memory that it holds."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def users_api(database: str, files: int | None = None, **settings: object) -> Iterator[Api]:
    """Run the process until the block ends, with at most `files` open files."""
    port = free_port()
    program = str(Path(sys.executable).with_name("users-api"))
    given = {name: str(value) for name, value in settings.items()}
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database, "PORT": str(port), **given}

    def limit_files() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with subprocess.Popen([program, "serve"], env=environment, preexec_fn=limit_files) as process:  # noqa: PLW1509
        try:
            api = Api(process, port)
            until(lambda: is_alive(port))
            yield api
        finally:
            process.terminate()


def is_alive(port: int) -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", port))) as client:
            client.sendall(PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return answers(client) != b""
    except ConnectionRefusedError:
        return False


def answers(client: socket.socket) -> bytes:
    """Read until the server closes."""
    with closing(client):
        parts = []
        while part := client.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def is_closed(client: socket.socket) -> bool:
    """Read until the server closes, however it does."""
    try:
        answers(client)
    except ConnectionResetError:
        return True
    return True


def problem(answer: bytes) -> tuple[int, str]:
    """Return status and detail of the one answer that was given, as the standard wants it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().splitlines()
    assert {"content-type: application/problem+json", "connection: close"} <= set(lines)
    told = json.loads(body)
    assert lines[0].startswith(f"http/1.1 {told['status']} ")
    return told["status"], told["detail"]
