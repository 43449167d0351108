"""A running Herald for faults: its processes one by one, and the servers that they rely on."""

import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis

from chaos import sabotage
from chaos.hook import Hook
from chaos.sink import Mailed, Sink
from devstack.herald import Command, Herald
from devstack.processes import Process
from devstack.redis_server import RedisServer
from messaging.wire import layout
from messaging.wire.client import connect
from messaging.wire.script import members
from users_api import PUBLISHER

OURS = "subscription IN ('welcome_email', 'follow_up_email', 'audit_log', 'webhook')"
"""Other subscriptions don't matter here."""

WORKERS = ("notifier", "auditor")
"""The services that consume; each has a queue of its own name. So has `webhook`, which runs for some faults."""

CLAIMED = (
    "SELECT subscription, event_id FROM effects"
    " WHERE subscription IN ('welcome_email', 'follow_up_email') AND state = 'claimed'"
)
"""Mails that are claimed and not recorded: in doubt, if their worker is dead."""

UNFINISHED = frozenset({"pending", "queued", "running", "retrying"})


class Unsettled(AssertionError):
    """Something didn't happen in time. See the processes' logs."""


class System:
    """Herald's processes, and what they rely on. `logs`: where each process' output is, as `<name>.log`.

    `hook`: the endpoint of its webhooks, if the rig has one. `follows_up`: whether follow-up mails are on.
    `workers`: those of its processes that consume.
    `publishers`: the database of each publisher, by its name; users-api alone, unless a fault adds another.
    """

    def __init__(
        self, herald: Herald, redis_server: RedisServer, sink: Sink, logs: Path, hook: Hook | None = None
    ) -> None:
        self.herald = herald
        self.hook = hook
        self.workers = (*WORKERS, "webhook") if herald.calls_webhook else WORKERS
        self.follows_up = "FOLLOW_UP_AFTER" in herald.extra
        self.publishers = {PUBLISHER: herald.databases["users"]}
        self.redis_server = redis_server
        self.redis: redis.Redis = connect(redis_server.url)
        self.sink = sink
        self.logs = logs
        self.http = httpx.Client(base_url=herald.local_url, timeout=10)
        self._commands = {command.name: command for command in herald.processes(workers=1)}
        self.processes = {name: self._process(command) for name, command in self._commands.items()}

    def start(self) -> None:
        """Start every process, and wait until users can register."""
        for process in self.processes.values():
            process.start()
        self.until(self._ready)

    def stop(self) -> None:
        """End every process in order, all at the same time."""
        with ThreadPoolExecutor(len(self.processes)) as threads:
            list(threads.map(lambda process: process.stop(timeout=20), self.processes.values()))

    def kill(self) -> None:
        """End everything at once."""
        for process in self.processes.values():
            process.kill()
        self.http.close()
        self.redis.close()

    def sabotage(self, name: str, *orders: str, lasting: bool = False) -> None:
        """Let the next start of a process carry out orders (`chaos.sabotage`); every later one too, if `lasting`."""
        ordered = sabotage.ordered(self._commands[name], orders)
        if lasting:
            self._commands[name] = ordered
        self.processes[name] = self._process(ordered)

    def redirect(self, name: str, **environment: str) -> None:
        """Change the environment of a process before its start."""
        command = self._commands[name]
        self._commands[name] = replace(command, env={**command.env, **environment})
        self.processes[name] = self._process(self._commands[name])

    def replace(self, name: str, *orders: str) -> None:
        """Clear away what is left of a process and start it anew; with these orders, and those that last."""
        self.processes[name].kill()
        self.sabotage(name, *orders)
        self.processes[name].start()

    def add(self, name: str, like: str, *orders: str, **environment: str) -> None:
        """Start one more process like another, under a name of its own. It carries out the orders at each start."""
        command = self._commands[like]
        self._commands[name] = replace(command, name=name, env={**command.env, **environment})
        self.sabotage(name, *orders, lasting=True)
        self.processes[name].start()

    def register(self, name: str, **headers: str) -> dict[str, Any]:
        """Register a user and return the answer's body."""
        body = {"email": f"{name}@example.com", "full_name": name}
        answer = self.http.post("/users", json=body, headers=headers)
        assert answer.status_code == 201, answer.text  # noqa: S101  # for tests
        registered: dict[str, Any] = answer.json()
        return registered

    def deliveries(self, user_id: int) -> dict[str, dict[str, Any]]:
        """Return a user's deliveries, as the API shows them, by subscription."""
        listed = self.http.get(f"/users/{user_id}/deliveries").json()["deliveries"]
        return {delivery["subscription"]: delivery for delivery in listed}

    def states(self) -> dict[str, int]:
        """Count the deliveries of the rig's effects by state."""
        return Counter(state for (state,) in self.published(f"SELECT state FROM deliveries WHERE {OURS}"))  # noqa: S608  # ours

    def unfinished(self) -> int:
        """Count what isn't finished: deliveries without a final state, and messages that Redis holds."""
        held = sum(self.redis.hlen(layout.messages_key(queue)) for queue in self.workers)
        return held + sum(count for state, count in self.states().items() if state in UNFINISHED)

    def query(self, database: str, statement: str, given: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Ask the database of a service: `users`, `notifier` or `auditor`."""
        return _ask(self.herald.databases[database], statement, given)

    def published(self, statement: str, given: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Ask the database of each publisher; return the rows of all."""
        return [row for url in self.publishers.values() for row in _ask(url, statement, given)]

    def claimed(self) -> set[Mailed]:
        """Return the effects whose mails are claimed and not recorded."""
        return {(subscription, event_id) for subscription, event_id in self.query("notifier", CLAIMED)}

    def audited(self) -> list[str]:
        """List the addresses in the audit log."""
        return [row[0] for row in self.query("auditor", "SELECT email FROM audit_log ORDER BY id")]

    def log(self, name: str) -> str:
        """Return what a process has printed so far."""
        path = self.logs / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def run(self, service: str, *arguments: str) -> str:
        """Run one of the command lines and return what it prints."""
        ended = self.attempt(service, *arguments)
        ended.check_returncode()
        return ended.stdout

    def attempt(self, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the command lines, which may fail."""
        command = next(each for each in self.herald.migrations() if each.name == service)
        argv = [command.argv[0], *arguments]
        return subprocess.run(argv, env=command.env, capture_output=True, text=True, check=False)  # noqa: S603  # ours

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for a condition.

        Raises:
            Unsettled: it took too long.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Unsettled(f"not within {seconds:.0f} s; deliveries: {self.states()}; logs: {self.logs}")
            time.sleep(0.05)

    def stop_workers(self) -> set[int | None]:
        """End the workers in order, let the relay apply their last receipts, and return the exit statuses.

        A process that is still starting would end by the signal itself, so wait until each has registered.
        """
        workers = [each for name, each in self.processes.items() if name.startswith(self.workers) and each.running]
        self.until(lambda: all(each.pids & self._registered() for each in workers if each.running))
        with ThreadPoolExecutor(max(1, len(workers))) as threads:
            list(threads.map(lambda process: process.stop(timeout=30), workers))
        self.until(lambda: not any(self.redis.xlen(layout.receipts_key(each)) for each in self.publishers))
        return {process.returncode for process in workers}

    def _process(self, command: Command) -> Process:
        return Process(command.name, command.argv, env=command.env, output=self.logs / f"{command.name}.log")

    def _registered(self) -> set[int]:
        """Return the ids of the worker processes that Redis knows: `<host>.<process id>.<random>/<queue>`."""
        parts = [holder.split(".") for holder in members(self.redis, layout.WORKERS)]
        return {int(each[-2]) for each in parts if len(each) > 2 and each[-2].isdigit()}

    def _ready(self) -> bool:
        """Return whether users can register, and whether every process that acts on a registration is ready."""
        try:
            served = self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False
        consumed = {holder.rpartition("/")[2] for holder in members(self.redis, layout.WORKERS)}
        relayed = self.redis.exists(layout.relay_key(socket.gethostname()))
        return served and consumed >= set(self.workers) and bool(relayed)


def _ask(url: str, statement: str, given: Mapping[str, object] | None) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), given)
        return cursor.fetchall() if cursor.description is not None else []
