"""More workers, fewer workers, and workers that don't agree on the time."""

import time
from concurrent.futures import ThreadPoolExecutor

from chaos.fault import Fault, Trial
from chaos.ledger import Ledger

WORKERS = ("notifier", "auditor")


class Scale(Fault):
    """From one process of each worker to four, and back to one: each ends by SIGTERM, under load."""

    number = 18
    title = "scale 1 → 4 → 1 processes with SIGTERM under load"

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(trial.dice.uniform(0.1, 0.2))
        trial.strike_now()
        for number in (2, 3, 4):
            for worker in WORKERS:
                trial.system.add(f"{worker}-{number}", worker)
        trial.wait_for_share(trial.dice.uniform(0.4, 0.6))
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
        ledger.figure = "6 ended by SIGTERM with status 0; no lease ran out, no worker was found dead"


class Clocks(Fault):
    """Every process but the API has a clock of its own, and a FLUSHALL makes leases matter."""

    number = 19
    title = "worker clocks skewed by ± 10 minutes (and a FLUSHALL)"
    recovers_within = 15.0

    def prepare(self, trial: Trial) -> None:
        for name, seconds in (("notifier", 600), ("auditor", -600), ("relay", -600)):
            trial.system.sabotage(name, f"clock:{seconds}", lasting=True)

    def strike(self, trial: Trial) -> None:
        trial.system.add("notifier-2", "notifier", "clock:-600")
        trial.wait_for_share(trial.dice.uniform(0.3, 0.8))
        trial.strike_now()
        trial.system.redis.flushall()

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ledger.figure = "D = 0"
