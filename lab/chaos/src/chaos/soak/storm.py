"""One fault after another, at random, each over before the next begins.

A process that dies is started again at once, as a supervisor would.
Every fault comes once before any comes again. What kills a process ends at 60 % of the run and everything at 80 %, so
that the rest shows what is left behind.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator

from chaos.soak.plan import Plan
from chaos.soak.recording import Recording
from chaos.system import WORKERS, System
from devstack.postgres import Postgres

KILLS_UNTIL, FAULTS_UNTIL = 0.6, 0.8
PROCESSES = ("users-api", "relay", "notifier", "auditor")


class Storm:
    """Injects faults into a system according to plan."""

    def __init__(
        self, system: System, postgres: Postgres, recording: Recording, dice: random.Random, plan: Plan
    ) -> None:
        self.in_flight = 0
        """Mails that were claimed and not recorded whenever a notifier was killed: each of them may come twice."""
        self.wrong: list[str] = []
        self._system = system
        self._postgres = postgres
        self._recording = recording
        self._dice = dice
        self._plan = plan
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Let the present fault be the last one, and wait until it is over."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        kills, others = self._drawn(self._kills()), self._drawn(self._others())
        while not self._over.wait(self._dice.uniform(*self._plan.pause)) and self._before(FAULTS_UNTIL):
            name, strike = next(kills if self._before(KILLS_UNTIL) else others)
            self._recording.mark(name)
            try:
                strike()
            except Exception as error:  # a rig that can't go on must say so, and not look green
                self.wrong.append(f"{name}: {error!r}")
                return

    def _before(self, share: float) -> bool:
        return self._recording.now < share * self._plan.seconds

    def _drawn(self, faults: dict[str, Callable[[], None]]) -> Iterator[tuple[str, Callable[[], None]]]:
        while True:
            yield from self._dice.sample(list(faults.items()), len(faults))

    def _kills(self) -> dict[str, Callable[[], None]]:
        return {
            **{f"kill {name}": lambda name=name: self._kill(name) for name in PROCESSES},  # type: ignore[misc]  # mypy can't infer a default
            "kill Redis": self._kill_redis,
            "restart PostgreSQL": self._restart_postgres,
            "SIGTERM": self._end,
            **self._others(),
        }

    def _others(self) -> dict[str, Callable[[], None]]:
        return {"FLUSHALL": self._flush, "SIGSTOP notifier": self._stop_notifier, "SMTP 421": self._defer}

    def _kill(self, name: str) -> None:
        self._system.processes[name].kill()
        if name == "notifier":
            self.in_flight += len(self._system.claimed())
        self._start(name)

    def _end(self) -> None:
        name = self._dice.choice(WORKERS)
        process = self._system.processes[name]
        process.stop(timeout=30)
        if process.returncode != 0:
            self.wrong.append(f"SIGTERM: {name} ended with status {process.returncode}")
        self._start(name)

    def _start(self, name: str) -> None:
        self._system.processes[name].start()
        self._recording.started(name)

    def _kill_redis(self) -> None:
        self._system.redis_server.kill()
        self._over.wait(self._dice.uniform(0, 2))
        self._system.redis_server.start()
        self._recording.started("redis")

    def _restart_postgres(self) -> None:
        self._postgres.stop()
        self._over.wait(self._dice.uniform(0, 2))
        self._postgres.start()
        self._recording.started("postgres")

    def _flush(self) -> None:
        self._system.redis.flushall()

    def _stop_notifier(self) -> None:
        pids = self._system.processes["notifier"].pids
        try:
            self._signal(pids, signal.SIGSTOP)
            self._over.wait(8)
        finally:
            self._signal(pids, signal.SIGCONT)

    def _signal(self, pids: set[int], number: int) -> None:
        for pid in pids:
            os.kill(pid, number)

    def _defer(self) -> None:
        self._system.sink.answer = "421 closing, come back later"
        self._over.wait(self._dice.uniform(3, 6))
        self._system.sink.answer = "250 OK"
