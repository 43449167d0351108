"""One run: every system in turn, round after round, so that a slow minute of the machine hits all alike."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from benchmarks import burst, idle, lag, lost, machine
from benchmarks.running import Running
from benchmarks.servers import Servers
from benchmarks.summary import figures
from benchmarks.systems import System
from benchmarks.table import in_words

Measured = dict[str, Any]
Report = Callable[[str], None]
Measure = Callable[[Running, Report], Measured]


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    systems: Sequence[System]
    phases: Sequence[str]
    rounds: int
    registrations: int


@dataclass
class Run:
    """A run under way; `results` is what there is so far."""

    plan: Plan
    servers: Servers
    console: Console
    results: dict[str, Any] = field(default_factory=lambda: {"systems": {}, "failed": {}})

    def go(self) -> dict[str, Any]:
        """Measure everything; whatever fails is named, and the others go on. Ctrl-C returns what there is."""
        plan = self.plan
        self.results["plan"] = {"rounds": plan.rounds, "registrations": plan.registrations, "phases": [*plan.phases]}
        try:
            self.results["machine"] = machine.describe(self.servers.postgres, self.servers.directory)
            for number in range(plan.rounds):
                for system in plan.systems:
                    self._round(system, number)
        except KeyboardInterrupt:
            self.results["interrupted"] = True
            self.console.print("interrupted; this is what there is")
        return self.results

    def _round(self, system: System, number: int) -> None:
        """Measure a system once. What it loses is measured in the first round only, each time from a fresh start."""
        phases = [phase for phase in self.plan.phases if phase in system.phases]
        if steady := [phase for phase in phases if phase != "lost"]:
            self._attempt(system, number, "", lambda running, report: self._steady(steady, running, report))
        if "lost" in phases and number == 0:
            self._attempt(system, number, "kill -9", lambda running, _: {"kill": lost.kill(running)})
            if system.redis:
                self._attempt(system, number, "FLUSHALL", lambda running, _: {"flush": lost.flush(running)})

    def _steady(self, phases: Sequence[str], running: Running, report: Report) -> Measured:
        measured: Measured = {}
        for phase in phases:
            report(phase)
            if phase == "burst":
                measured[phase] = burst.measure(running, self.plan.registrations)
            else:
                measured[phase] = (lag if phase == "lag" else idle).measure(running)
        return measured

    def _attempt(self, system: System, number: int, what: str, measure: Measure) -> None:
        title = f"round {number + 1} of {self.plan.rounds}: {system.title}{what and ', '}{what}"
        with self._surviving(system, title), self.console.status(title) as status:
            with self.servers.system(system) as running:
                measured = measure(running, lambda phase: status.update(f"{title}: {phase}"))
            rounds = self.results["systems"].setdefault(system.name, {"title": system.title, "rounds": []})["rounds"]
            if len(rounds) <= number:
                rounds.append({})
            rounds[-1].update(measured)
            self.console.print(f"{title}: {in_words(figures([measured]))}", soft_wrap=True, highlight=False)

    @contextmanager
    def _surviving(self, system: System, title: str) -> Iterator[None]:
        """Note what goes wrong, whatever it is: the others are worth having."""
        try:
            yield
        except Exception as error:
            self.servers.keep = True
            self.results["failed"][system.name] = f"{error}" or traceback.format_exc()
            self.console.print(f"{title}: [red]failed[/]: {error!r}", soft_wrap=True)
