"""Each of the keys in Redis gone, or of a wrong type. Redis is transport only: any key may be lost at any moment."""

import os
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from chaos import keys
from chaos.fault import Fault, Trial
from chaos.ledger import Ledger
from chaos.sink import Mailed
from chaos.system import WORKERS

UNFINISHED_BETWEEN = """
-- Deliveries of registrations between two moments that aren't finished.
SELECT count(*) FROM deliveries WHERE state NOT IN ('succeeded', 'failed', 'uncertain')
    AND created_at >= to_timestamp(%(since)s) AND created_at < to_timestamp(%(until)s)
"""

LEAST_KINDS = 14
"""With fewer kinds of keys the rig has missed some."""

OPERATOR_SECONDS, KILLED_SECONDS = 6.0, 20.0
"""After OPERATOR_SECONDS (KILLED_SECONDS if a worker was killed) the rig deletes a key that still has a wrong type, as
an operator does who has read the log. Herald looks every two seconds, and waits up to two after an error."""

HARMLESS_SECONDS, FRESH_SECONDS = 3.0, 1.5
"""If for HARMLESS_SECONDS a wrong key has held up only deliveries younger than FRESH_SECONDS, no command meets it,
and it need not be named."""


@dataclass(frozen=True)
class Blow:
    """What was done to a key. `wrong`: the wrong type that it has now; empty if it is gone.

    `since`: when the key before it was struck. `logs`: the log lines until now.
    """

    kind: str
    key: str
    wrong: str
    since: float
    logs: list[str]


class Keys(Fault):
    """One key after another, while workers are stopped for a moment, so that queues and workers hold messages.

    Afterwards the workers go on, or one is killed: that which the key is about, if it is about one. The next key
    follows when all earlier registrations are done.
    """

    number = 21
    webhook = False  # the processes that stand still are WORKERS
    follow_up = False  # as above
    environment = {"MAIL_TIMEOUT": "4"}
    per_second, least = 20.0, 8_000  # as many as it takes: the load ends with the last key
    recovers_within = 20.0  # a lease of 15 s, a look every 2 s, and 3 s for a busy machine

    def __init__(self, harm: Literal["deleted", "mistyped"], *, kill: bool = False) -> None:
        done = {"deleted": "deleted", "mistyped": "made of a wrong type"}[harm]
        self._mistype, self._kill = harm == "mistyped", kill
        self.variant = f"-{harm}{'-kill' if kill else ''}"
        self.title = f"each key in Redis {done} in turn{', and a kill -9 of the worker' if kill else ''}"

    def prepare(self, trial: Trial) -> None:
        self._types: dict[str, str] = {}
        self._late: Counter[str] = Counter()
        self._harmless: list[str] = []
        self._by_operator: list[str] = []
        self._unnamed: list[str] = []
        self._in_flight: set[Mailed] = set()
        self._slowest = (0.0, "")
        trial.system.sink.delay = 0.05  # so that there are always some in flight

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(trial.dice.uniform(0.005, 0.01))
        struck: set[str] = set()
        while untried := sorted((found := self._look(trial)).keys() - struck):
            struck.add(kind := trial.dice.choice(untried))
            blow = self._strike_at(trial, kind, found[kind])
            if blow.wrong:
                self._wait_until_mended(trial, blow)
            self._wait_until_done(trial, blow)
        self._struck = len(struck)
        trial.load.stop()

    def _look(self, trial: Trial) -> dict[str, str]:
        """Return the key of each kind, when all workers are there; remember the types that keys have of themselves."""
        trial.system.until(lambda: len(keys.worker_ids(trial.system)) == len(WORKERS))
        now = keys.kinds(trial.system)
        for kind, key in now.items():
            if (found := _type(trial, key)) != "none":
                self._types.setdefault(kind, found)
        return now

    def _strike_at(self, trial: Trial, kind: str, key: str) -> Blow:
        since, logs = trial.strikes[-1] if trial.strikes else 0.0, _logs(trial)
        _signal(trial, signal.SIGSTOP)
        time.sleep(trial.dice.uniform(0.3, 1))
        trial.strike_now()
        wrong = self._harm(trial, key, self._types.get(kind, "none"))
        if self._kill:
            named = [service for service in WORKERS if service in kind]
            self._kill_worker(trial, trial.dice.choice(named or WORKERS))
        _signal(trial, signal.SIGCONT)
        return Blow(kind, key, wrong, since, logs)

    def _harm(self, trial: Trial, key: str, was: str) -> str:
        """Delete the key, or replace it; return the type that it has now and must not have."""
        wrong = "list" if was in {"string", "none"} else "string"
        pipeline = trial.system.redis.pipeline()
        pipeline.delete(key)
        if self._mistype:
            pipeline.rpush(key, "x") if wrong == "list" else pipeline.set(key, "x")
        pipeline.execute()
        return wrong if self._mistype else ""

    def _kill_worker(self, trial: Trial, service: str) -> None:
        trial.system.processes[service].kill()
        self._in_flight |= trial.system.claimed()
        trial.system.replace(service)

    def _wait_until_mended(self, trial: Trial, blow: Blow) -> None:
        """Give Herald time to mend the key. What does harm for longer must be named in the log, and is deleted."""
        deadline = KILLED_SECONDS if self._kill else OPERATOR_SECONDS
        while _type(trial, blow.key) == blow.wrong:
            now = trial.now()
            if now - trial.struck > HARMLESS_SECONDS and not _unfinished(trial, blow.since, now - FRESH_SECONDS):
                self._harmless.append(blow.kind)
                trial.system.redis.delete(blow.key)
            elif now - trial.struck > deadline:
                self._by_operator.append(blow.kind)
                if not _is_named(blow, _logs(trial)):
                    self._unnamed.append(blow.kind)
                trial.system.redis.delete(blow.key)
                trial.strikes[-1] = trial.now()  # the fault lasted until now
            time.sleep(0.05)

    def _wait_until_done(self, trial: Trial, blow: Blow) -> None:
        """Wait until nothing is left of what was registered before; what doesn't come in time is late."""
        while left := _unfinished(trial, blow.since, trial.struck):
            trial.progress(f"{blow.kind}: {left} to go")
            took = trial.now() - trial.struck
            self._slowest = max(self._slowest, (took, blow.kind))
            if took > self.recovers_within:
                self._late[blow.kind] = left
                return
            time.sleep(0.1)

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        k, d = len(self._in_flight), ledger.duplicate_mails
        ledger.expect(self._struck >= LEAST_KINDS, f"only {self._struck} kinds of keys were found")
        for kind, count in self._late.items():
            ledger.expect(False, f"{count} deliveries were not found within {self.recovers_within:.0f} s of {kind}")
        ledger.expect(not self._unnamed, f"no log named {', '.join(self._unnamed)}")
        ledger.expect(d <= k, f"{d} mails twice with K = {k}")
        ledger.expect(not ledger.failed + ledger.uncertain, f"{ledger.failed} failed, {ledger.uncertain} uncertain")
        met = f", {len(self._harmless)} of them met by no command" if self._harmless else ""
        operator = f", {len(self._by_operator)} deleted by the operator" if self._by_operator else ""
        slowest = f"the slowest {self._slowest[1]} with {self._slowest[0]:.1f} s"
        ledger.figure = f"{self._struck} keys{met}{operator}; {slowest}; K = {k}, D = {d}"


def _signal(trial: Trial, number: int) -> None:
    for service in WORKERS:
        for pid in trial.system.processes[service].pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _type(trial: Trial, key: str) -> str:
    answer: Any = trial.system.redis.type(key)
    return str(answer, "ascii")


def _unfinished(trial: Trial, since: float, until: float) -> int:
    return int(trial.system.query("users", UNFINISHED_BETWEEN, {"since": since, "until": until})[0][0])


def _logs(trial: Trial) -> list[str]:
    return [trial.system.log(name) for name in ("relay", *WORKERS)]


def _is_named(blow: Blow, logs: list[str]) -> bool:
    """Return whether any log has named the key since, and not only a longer one."""
    since = (log[len(before) :] for before, log in zip(blow.logs, logs, strict=True))
    return any(re.search(re.escape(blow.key) + r"(?![.:]?\w)", each) for each in since)
