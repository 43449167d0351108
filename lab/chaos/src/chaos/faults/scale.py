"""More workers, fewer workers, and workers that don't agree on the time."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from chaos.fault import Fault, Trial
from chaos.ledger import Ledger
from chaos.system import WORKERS

SLOW = 4
"""How many mails are answered late."""


class Scale(Fault):
    """From one process of each worker to four, and back to one: each ends by SIGTERM, under load."""

    number = 18
    title = "scale 1 → 4 → 1 processes with SIGTERM under load"
    least, per_second = 1500, 150.0

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(trial.dice.uniform(0.1, 0.2))
        trial.strike_now()
        for name in self._added():
            trial.system.add(name, name.partition("-")[0])
        trial.system.until(lambda: all(trial.system.log(name).count("deliveries.succeeded") for name in self._added()))
        leaving = [[worker, f"{worker}-2", f"{worker}-3"] for worker in WORKERS]
        for names in zip(*(trial.dice.sample(each, 3) for each in leaving), strict=True):
            with ThreadPoolExecutor(len(names)) as threads:
                list(threads.map(lambda name: trial.system.processes[name].stop(timeout=30), names))
            time.sleep(trial.dice.uniform(0, 1))

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        said = trial.system.log("relay")
        dead, lost = said.count("worker.found_dead"), said.count("deliveries.found_lost")
        ended = [name for worker in WORKERS for name in (worker, f"{worker}-2", f"{worker}-3")]
        ends = {trial.system.processes[name].returncode for name in ended}
        ledger.expect(not dead + lost + ledger.crashes, f"{dead} found dead, {lost} x lost, {ledger.crashes} crashes")
        ledger.expect(ends == {0}, f"exit statuses {ends}")
        ledger.figure = f"{len(ended)} ended by SIGTERM; leases run out: {lost}, workers found dead: {dead}"

    def _added(self) -> list[str]:
        return [f"{worker}-{number}" for worker in WORKERS for number in (2, 3, 4)]


class Clocks(Fault):
    """Every process but the API has a clock of its own, and a FLUSHALL makes leases matter."""

    number = 19
    title = "worker clocks skewed by ± 10 minutes (and a FLUSHALL)"
    recovers_within = 15.0
    least, per_second = 1500, 150.0

    def prepare(self, trial: Trial) -> None:
        for name, seconds in (("notifier", 600), ("auditor", -600), ("relay", -600)):
            trial.system.sabotage(name, f"clock:{seconds}", lasting=True)

    def strike(self, trial: Trial) -> None:
        trial.system.add("notifier-2", "notifier", "clock:-600")
        trial.wait_for_share(trial.dice.uniform(0.2, 0.4))
        trial.system.until(lambda: trial.system.log("notifier-2").count("deliveries.succeeded") > 0)
        slow: set[str] = set()
        trial.system.sink.delay = partial(_slow_for_some, slow)  # their claims live when they are enqueued again
        trial.system.until(lambda: len(slow) == SLOW)
        trial.strike_now()
        trial.system.redis.flushall()

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        said = [trial.system.log(name) for name in ("notifier", "notifier-2")]
        met = sum(log.count("another attempt has claimed this effect") for log in said)
        ledger.expect(met > 0, "no attempt met another's claim")
        ledger.expect(_minutes(said[0]).isdisjoint(_minutes(said[1])), "both notifiers have the same time")
        ledger.figure = f"D = {ledger.duplicate_mails}; {met} attempts met a claim of a notifier that is 20 minutes off"


def _slow_for_some(slow: set[str], recipient: str) -> float:
    """Answer the first mails late, and all others at once."""
    if len(slow) < SLOW:
        slow.add(recipient)
        return 4.0
    return 0.0


def _minutes(log: str) -> set[str]:
    """Return the minutes in which a process logged something, by its own clock."""
    return set(re.findall(r"^\d{4}-\d\d-\d\dT\d\d:\d\d", log, re.MULTILINE))
