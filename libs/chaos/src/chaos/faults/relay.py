"""The relay killed, doubled, and made to wait for commits that come late."""

import threading
import time

import psycopg

from chaos.fault import Fault, Trial
from chaos.ledger import Ledger
from chaos.load import Answered, Load
from chaos.producer import insert_user


class KillRelay(Fault):
    """Three deaths: with deliveries claimed, with their messages enqueued, with receipts applied."""

    number = 2
    title = "kill -9 of the relay between claim, enqueue and commit"
    recovers_within = 30.0  # a claim whose message never was is found when its lease of 15 s runs out

    def prepare(self, trial: Trial) -> None:
        trial.system.sabotage("relay", f"kill:relay.claimed:{trial.rounds(50)}")

    def strike(self, trial: Trial) -> None:
        for point in ("enqueued", "applied"):
            trial.until_struck("relay")
            trial.system.replace("relay", f"kill:relay.{point}:{trial.rounds(200)}")
        trial.until_struck("relay")
        trial.system.replace("relay")


class LongTransactions(Fault):
    """Other writers keep their transactions open, so that events become visible long after younger ones."""

    number = 3
    title = "two relays, and long transactions that commit out of order"
    writers, rounds = 8, 5

    def strike(self, trial: Trial) -> None:
        trial.system.add("relay-2", "relay")
        late = Load(trial.system.herald.port, 0, 0)
        trial.loads.append(late)
        threads = [threading.Thread(target=self._write, args=(trial, late, writer)) for writer in range(self.writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _write(self, trial: Trial, late: Load, writer: int) -> None:
        with psycopg.connect(trial.system.herald.databases["users"]) as connection:
            for number in range(self.rounds):
                email = f"late{writer}.{number}@example.com"
                user_id = insert_user(connection, email)
                time.sleep(trial.dice.uniform(0, 3))
                connection.commit()
                late.answered[email] = Answered(user_id, time.monotonic(), 0.0, 1)

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ledger.figure = f"{self.writers * self.rounds} late commits, 0 skipped"
