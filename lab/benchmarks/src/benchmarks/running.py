"""A system that runs: its processes, what it has done so far, and what it used for that."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg

from benchmarks.errors import BenchmarkError, Unsettled
from benchmarks.load import Answers, burst
from benchmarks.sink_process import SinkProcess
from benchmarks.systems import Place, System, preparation
from devstack.ports import port_is_taken
from devstack.postgres import Postgres
from devstack.processes import Process
from devstack.redis_server import RedisServer

AUDITED: LiteralString = """
-- When each row was committed, by PostgreSQL's own account (track_commit_timestamp).
SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8, email FROM audit_log ORDER BY id
"""

ANSWERS = {201, 503}
"""A 503 says that PostgreSQL was away or too slow: on a busy machine that happens, to a few."""

STARTING = 60.0
POLL = 0.2


class Running:
    """One system in its place. `logs`: where the output of each process is, as `<name>.log`."""

    def __init__(  # noqa: PLR0913, PLR0917  # what a system has: servers of its own
        self, system: System, place: Place, postgres: Postgres, redis_server: RedisServer, sink: SinkProcess, logs: Path
    ) -> None:
        self.system = system
        self.place = place
        self.postgres = postgres
        self.redis_server = redis_server
        self.sink = sink
        self.logs = logs
        self.processes = {
            command.name: Process(command.name, command.argv, env=command.env, output=logs / f"{command.name}.log")
            for command in system.commands(place)
        }

    def start(self) -> None:
        """Start every process, and wait until a first registration has had its effects."""
        for command in preparation(self.system, self.place):
            done = subprocess.run(command.argv, env=command.env, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                raise BenchmarkError(f"{self.system.title} could not be prepared: {done.stderr[-500:]}")
        for process in self.processes.values():
            process.start()
        self.until(lambda: port_is_taken(self.place.port), STARTING)
        self.begin()
        self.register(1, "first", concurrency=1)
        self.until_done(STARTING)

    def kill(self) -> None:
        """Kill every process at the same moment, with everything each has started."""
        for pid in [pid for process in self.processes.values() for pid in process.pids]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.processes.values():
            process.kill()

    def begin(self) -> None:
        """Forget the mails so far, and count users and audit rows from here."""
        self.sink.take()
        self._registered = self._count("users", "users")
        self._audited = self._count("auditor", "audit_log")

    def register(self, registrations: int, prefix: str, *, concurrency: int = 32) -> Answers:
        """Register so many, as fast as answers come. A 503 is an answer too, if not all are.

        Raises:
            BenchmarkError: an answer was neither 201 nor 503, or there was none.
        """
        answers = burst(self.place.port, prefix, registrations, concurrency)
        wrong = [record for record in answers.records if record[3] not in ANSWERS]
        if wrong or len(answers.records) < registrations or not answers.answered:
            counted = dict(Counter(status for *_, status in answers.records))
            raise BenchmarkError(f"{self.system.title}: answers by status: {counted}; logs: {self.logs}")
        return answers

    def until_done(self, seconds: float = 300.0) -> None:
        """Wait until every user registered since `begin` has had both effects.

        Those whom PostgreSQL has, for nobody else is owed anything: not who was answered 503, unless it was committed.
        """
        if self.system.effects:
            self.until(self._is_done, seconds)

    def _is_done(self) -> bool:
        owed = self._count("users", "users") - self._registered
        return self.sink.count() >= owed and self.audited_since() >= owed

    def audited_since(self) -> int:
        """Count the audit rows since `begin`."""
        return self._count("auditor", "audit_log") - self._audited

    def audited(self) -> list[tuple[float, str]]:
        """Return time of commit and address of each audit row since `begin`."""
        rows = self.query("auditor", AUDITED)
        return [(at, email) for at, email in rows[self._audited :]]

    def users(self) -> set[str]:
        """Return the address of every committed user."""
        return {row[0] for row in self.query("users", "SELECT email FROM users")}

    def revive(self) -> list[str]:
        """Start what has ended again, as anybody's supervisor does, and name it."""
        ended = [name for name, process in self.processes.items() if not process.running]
        for name in ended:
            self.processes[name].kill()  # what it has left behind
            self.processes[name].start()
        return ended

    def query(self, database: str, statement: LiteralString) -> list[tuple[Any, ...]]:
        """Ask one of the system's databases."""
        with psycopg.connect(self.place.databases[database], autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def database_names(self) -> list[str]:
        """List the databases that are this system's alone."""
        return sorted({urlsplit(url).path[1:] for url in self.place.databases.values()})

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition, Unsettled when it takes longer or a process has ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [name for name, process in self.processes.items() if not process.running]
            if ended or time.monotonic() > deadline:
                why = f"{', '.join(ended)} ended" if ended else f"not done within {seconds:.0f} s"
                raise Unsettled(f"{self.system.title}: {why}; logs: {self.logs}")
            time.sleep(POLL)

    def _count(self, database: str, table: LiteralString) -> int:
        return int(self.query(database, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608  # ours
