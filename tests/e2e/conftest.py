"""The whole system, as users run it: real processes, real servers, a mail server that can be told to misbehave."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from devstack.herald import Herald
from devstack.ports import free_port
from devstack.postgres import Postgres
from devstack.processes import Process
from devstack.redis_server import RedisServer

NewDatabase = Callable[[str], str]


class Sink:
    """An SMTP server that keeps what it accepts. `answer`: its reply to each mail; clear `release` to make it wait."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.begun = 0
        self.answer = "250 OK"
        self.release = asyncio.Event()
        self.release.set()
        self.port = free_port()
        self._server: Controller | None = None

    @property
    def recipients(self) -> list[str]:
        return [str(mail["X-Recipient"]) for mail in self.mails]

    def start(self) -> None:
        self._server = Controller(self, "127.0.0.1", self.port, server_hostname="sink.localhost")
        self._server.start()

    def stop(self) -> None:
        if self._server:
            self._server.stop(no_assert=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's
        self.begun += 1
        while not self.release.is_set():
            await asyncio.sleep(0.01)
        if self.answer.startswith("250"):
            mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
            mail["X-Recipient"] = envelope.rcpt_tos[0]
            self.mails.append(mail)
        return self.answer


class System:
    """Herald's four processes, and what they rely on."""

    def __init__(self, herald: Herald, redis_server: RedisServer, sink: Sink, logs: Path) -> None:
        self.herald = herald
        self.redis_server = redis_server
        self.sink = sink
        self.http = httpx.Client(base_url=herald.local_url, timeout=10)
        self.processes = {
            command.name: Process(command.name, command.argv, env=command.env, output=logs / f"{command.name}.log")
            for command in herald.processes(workers=1)
        }
        self.logs = logs

    def start(self) -> None:
        for process in self.processes.values():
            process.start()
        self.until(self._ready)

    def stop(self) -> None:
        """End every process in order, all at the same time."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda process: process.stop(timeout=20), self.processes.values()))

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()
        self.http.close()

    def register(self, name: str, **headers: str) -> dict[str, Any]:
        """Register a user and return the answer's body."""
        body = {"email": f"{name}@example.com", "full_name": name}
        answer = self.http.post("/users", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        registered: dict[str, Any] = answer.json()
        return registered

    def deliveries(self, user_id: int) -> dict[str, dict[str, Any]]:
        """Return a user's deliveries, as the API shows them, by subscription."""
        listed = self.http.get(f"/users/{user_id}/deliveries").json()["deliveries"]
        return {delivery["subscription"]: delivery for delivery in listed}

    def states(self) -> dict[str, int]:
        """Count the deliveries of the two effects by state; whatever else you subscribe is no matter here."""
        ours = "subscription IN ('welcome_email', 'audit_log')"
        return dict(self.query("users", f"SELECT state, count(*) FROM deliveries WHERE {ours} GROUP BY state"))

    def query(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.herald.databases[database], autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def audited(self) -> list[str]:
        return [row[0] for row in self.query("auditor", "SELECT email FROM audit_log ORDER BY id")]

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text()

    def run(self, service: str, *arguments: str) -> str:
        """Run one of the command lines and return what it prints."""
        command = next(each for each in self.herald.migrations() if each.name == service)
        argv = [command.argv[0], *arguments]
        return subprocess.run(argv, env=command.env, capture_output=True, text=True, check=True).stdout

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for a condition; fail when it takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s; deliveries: {self.states()}"
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def start_system(
    new_database: NewDatabase,
    redis_server: RedisServer,
    redis_client: redis.Redis,
    tmp_path: Path,
    postgres: Postgres,
) -> Iterator[Callable[..., System]]:
    """Start a system of its own: `start_system(NOTIFIER_UNCERTAIN="hold")`."""
    started: list[System] = []

    def start(**environment: str) -> System:
        sink = Sink()
        sink.start()
        databases = {name: new_database(template) for name, template in DATABASES.items()}
        url = f"smtp://127.0.0.1:{sink.port}"
        herald = Herald(databases, redis_server.url, url, free_port(), extra=environment)
        system = System(herald, redis_server, sink, tmp_path)
        started.append(system)
        system.start()
        return system

    yield start
    for system in started:
        system.kill()
        system.sink.stop()


DATABASES = {"users": "users_api", "notifier": "notifier", "auditor": "auditor"}


@pytest.fixture
def system(start_system: Callable[..., System]) -> System:
    return start_system()
