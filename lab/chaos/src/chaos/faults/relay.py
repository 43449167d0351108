"""The relay killed, doubled, and made to wait for commits that come late."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg

from chaos.fault import Fault, Trial
from chaos.faults.deaths import Deaths
from chaos.ledger import Ledger
from chaos.producer import insert_user


class KillRelay(Deaths):
    """Three deaths: with deliveries claimed, with their messages enqueued, with receipts applied."""

    number = 2
    title = "kill -9 of the relay between claim, enqueue and commit"
    process = "relay"
    points = (("relay.claimed", 100), ("relay.enqueued", 250), ("relay.applied", 500))
    recovers_within = 30.0  # a claim whose message never was is found when its lease of 15 s runs out


class LongTransactions(Fault):
    """Other writers keep their transactions open, so that events become visible long after younger ones."""

    number = 3
    webhook = False  # this process publishes too, and WEBHOOK_URL isn't in its environment
    follow_up = False  # as above
    title = "two relays, and long transactions that commit out of order"
    least, per_second = 1500, 150.0
    writers, rounds = 8, 5

    def strike(self, trial: Trial) -> None:
        trial.system.add("relay-2", "relay")
        trial.system.until(lambda: "relay.started" in trial.system.log("relay-2"))
        trial.strike_now()
        pauses = [[trial.dice.uniform(0, 3) for _ in range(self.rounds)] for _ in range(self.writers)]
        with ThreadPoolExecutor(self.writers) as threads:
            list(threads.map(partial(self._write, trial), range(self.writers), pauses))

    def _write(self, trial: Trial, writer: int, pauses: list[float]) -> None:
        with psycopg.connect(trial.system.herald.databases["users"]) as connection:
            for number, pause in enumerate(pauses):
                email = f"late{writer}.{number}@example.com"
                user_id = insert_user(connection, email)
                time.sleep(pause)
                connection.commit()
                trial.beside[email] = user_id

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        late = len(trial.beside)
        ledger.expect(late == self.writers * self.rounds, f"only {late} late commits")
        ledger.expect(trial.system.processes["relay-2"].running, "the second relay died")
        ledger.figure = f"{late} late commits, D = {ledger.duplicate_mails}"
