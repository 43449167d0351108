"""One soak: start a system, put it under load, inject faults, take samples; then compare and judge."""

import random
import time
from dataclasses import dataclass

from chaos.fault import Progress, Trial
from chaos.ledger import WATCH, Ledger, reckon
from chaos.load import Load
from chaos.servers import Servers
from chaos.soak.judgement import LEVEL, SHORT, Verdict, growing, judge
from chaos.soak.plan import DAY, Plan
from chaos.soak.recording import Recording
from chaos.soak.sampler import Sampler
from chaos.soak.storm import Storm
from chaos.system import System

SAMPLE_SECONDS = 2.0


@dataclass
class Outcome:
    """The result. `in_flight`: mails that may have come twice. `ledger`: None if the soak was interrupted."""

    plan: Plan
    recording: Recording
    ledger: Ledger | None = None
    verdicts: list[Verdict] | None = None
    in_flight: int = 0

    @property
    def wrong(self) -> list[str]:
        """Every broken promise, in words."""
        grown = growing(self.verdicts or ())
        lost = self.ledger.wrong if self.ledger else []
        return [*lost, *([f"it grows: {', '.join(grown)}"] if grown else [])]

    @property
    def in_words(self) -> str:
        """Return the outcome in a line."""
        verdicts = [each.verdict for each in self.verdicts or ()]
        if self.ledger is None:
            return "interrupted"
        if self.wrong:
            return "; ".join(self.wrong)
        short = f"; {verdicts.count(SHORT)} were seen for too short a time to tell" if SHORT in verdicts else ""
        return f"nothing lost; {verdicts.count(LEVEL)} series are level{short}"


def run(plan: Plan, servers: Servers, progress: Progress) -> Outcome:
    """Soak a system of its own. Ctrl-C ends it early, in order, with the samples so far."""
    dice = random.Random(f"{plan.seed} soak")  # noqa: S311  # no secret
    with servers.system(f"soak-{plan.seed}", RETENTION_DAYS=str(plan.retention / DAY)) as system:
        load = Load(system.herald.port, round(plan.per_second * plan.seconds), plan.seed, per_second=plan.per_second)
        return _run(plan, Trial(system, load, dice, servers.postgres, progress))


def _run(plan: Plan, trial: Trial) -> Outcome:
    system, load = trial.system, trial.load
    system.query("users", WATCH)
    _vacuum_often(system)
    system.sink.delay = 0.05  # so that there are mails in flight when a notifier is killed
    system.start()
    outcome = Outcome(plan, Recording())
    storm = Storm(system, trial.postgres, outcome.recording, trial.dice, plan)
    load.start()
    storm.start()
    try:
        _watch(plan, trial, outcome.recording)
        storm.stop()
        load.join()
        trial.settle(120)
        outcome.ledger = _reckon(trial, storm)
        outcome.verdicts = judge(outcome.recording, plan.tables)
    except KeyboardInterrupt:
        trial.progress("ending early")
        load.stop()
        storm.stop()
        load.join()
    outcome.in_flight = storm.in_flight
    system.stop()
    return outcome


def _vacuum_often(system: System) -> None:
    """Let PostgreSQL look every 5 s for what to vacuum, instead of every minute: minutes must show what days would."""
    system.query("users", "ALTER SYSTEM SET autovacuum_naptime = 5")
    system.query("users", "SELECT pg_reload_conf()")


def _watch(plan: Plan, trial: Trial, recording: Recording) -> None:
    sampler = Sampler(trial.system, trial.postgres, trial.load)
    try:
        while (at := recording.now) < plan.seconds:
            recording.add(at, sampler.sample())
            last = f"; last fault: {recording.marks[-1].kind}" if recording.marks else ""
            trial.progress(f"{at:.0f} of {plan.seconds:.0f} s, {len(trial.load.answered):,} registered{last}")
            time.sleep(max(0.0, at + SAMPLE_SECONDS - recording.now))
    finally:
        sampler.close()


def _reckon(trial: Trial, storm: Storm) -> Ledger:
    ledger = reckon(trial.system, trial.load, trial.beside, kept=False)
    twice, may = ledger.duplicate_mails, storm.in_flight
    ledger.expect(twice <= may, f"{twice} mails twice, {may} were in flight when a notifier was killed")
    ledger.expect(not ledger.failed + ledger.uncertain, f"{ledger.failed} failed, {ledger.uncertain} uncertain")
    for trouble in storm.wrong:
        ledger.expect(False, trouble)
    return ledger
