"""One trial: a fresh system under load, one fault at a random moment, and the ledger afterwards."""

import random
import time
from dataclasses import dataclass

from chaos.fault import FOLLOW_UP_AFTER, Fault, Progress, Trial
from chaos.ledger import WATCH, Ledger, reckon
from chaos.load import Load
from chaos.servers import Servers
from chaos.system import Unsettled


@dataclass(frozen=True)
class Plan:
    """How to try faults.

    `guard`: the one to work without; `unguarded`: the processes that do; `statement`: what takes it from the auditor's
    database.
    """

    registrations: int
    seed: int
    guard: str = ""
    unguarded: tuple[str, ...] = ()
    statement: str = ""


def run(fault: Fault, servers: Servers, plan: Plan, progress: Progress) -> Ledger:
    """Try a fault on a system of its own, and return the ledger."""
    dice = random.Random(f"{plan.seed} {fault.number}{fault.variant}")  # noqa: S311  # no secret
    name = f"{fault.number}{fault.variant}-{plan.seed}{'-without-' + plan.guard if plan.guard else ''}"
    total = max(fault.least, round(plan.registrations * fault.share))
    environment = fault.environment | ({"FOLLOW_UP_AFTER": FOLLOW_UP_AFTER} if fault.follow_up else {})
    with servers.system(name, fault.webhook, **environment) as system:
        load = Load(system.herald.port, total, plan.seed, clients=fault.clients, per_second=fault.per_second)
        try:
            return _run(fault, Trial(system, load, dice, servers.postgres, progress), plan)
        except Unsettled as error:
            return Ledger(answered=len(load.answered), wrong=[f"the trial couldn't be made: {error}"])


def _run(fault: Fault, trial: Trial, plan: Plan) -> Ledger:
    system, load = trial.system, trial.load
    system.query("users", WATCH)
    for name in plan.unguarded:
        system.sabotage(name, f"without:{plan.guard}", lasting=True)
    if plan.statement:
        system.query("auditor", plan.statement)
    fault.prepare(trial)
    system.start()
    load.start()
    fault.strike(trial)
    while load.running:
        trial.progress(f"{len(load.answered):,} of {load.total:,} registered")
        time.sleep(0.1)
    load.join()
    trial.settle(fault.patience)
    fault.afterwards(trial)
    left, ends = system.unfinished(), system.stop_workers()
    ledger = _judged(fault, trial)
    ledger.expect(not left, f"{left} deliveries or messages are left")
    ledger.expect(ends <= {0}, f"workers ended by SIGTERM with {ends}")
    return ledger


def _judged(fault: Fault, trial: Trial) -> Ledger:
    ledger = reckon(trial.system, trial.load, trial.beside)
    load = trial.load
    ledger.expect(len(load.answered) == load.total, f"{len(load.answered)} of {load.total} answered")
    ledger.expect(trial.in_load or not trial.strikes, "the fault came when the load was over")
    ledger.recovered = trial.recovered(fault.recovering)
    fault.judge(trial, ledger)
    if fault.recovers_within is not None:
        slow = ledger.recovered is None or ledger.recovered > fault.recovers_within
        ledger.expect(not slow, f"recovered in {ledger.recovered} s, not within {fault.recovers_within} s")
    return ledger
