"""Two services publish by one Redis, and the same workers serve both."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
from redis import ResponseError

from chaos.fault import Fault, Trial
from chaos.ledger import WATCH, Ledger
from chaos.producer import insert_user
from chaos.servers import new_database
from messaging.relay.receipt_reader import GROUP
from messaging.wire import layout
from users_api import PUBLISHER

OTHER = "accounts-api"
RELAYS = {PUBLISHER: "relay", OTHER: "relay-2"}


class TwoPublishers(Fault):
    """A worker dies before it sends, then each relay and the other worker die, then Redis is wiped."""

    number = 23
    webhook = False  # this process publishes too, and WEBHOOK_URL isn't in its environment
    follow_up = False  # as above
    title = "two publishers with a database each and one Redis: kill -9 of workers and relays, and a FLUSHALL"
    least, per_second = 1500, 100.0
    recovers_within = 60.0  # one fault comes while another is still being recovered from

    def prepare(self, trial: Trial) -> None:
        trial.system.sabotage("notifier", f"kill:notifier.before_send:{trial.rounds(1)}")

    def strike(self, trial: Trial) -> None:
        url = trial.system.publishers[OTHER] = new_database(trial.postgres, "users")
        trial.system.add(RELAYS[OTHER], "relay", f"publisher:{OTHER}", DATABASE_URL=url)
        with ThreadPoolExecutor(1) as thread:
            publishing = thread.submit(self._publish, trial, url)
            self._strike(trial)
            publishing.result()

    def _strike(self, trial: Trial) -> None:
        trial.until_struck("notifier")
        trial.system.replace("notifier")
        shares = sorted(trial.dice.uniform(0.3, 0.9) for _ in range(4))
        victims = trial.dice.sample([*RELAYS.values(), "auditor"], 3)
        for share, name in zip(shares, victims, strict=False):
            trial.wait_for_share(share)
            trial.strike_now()
            trial.system.replace(name)
        trial.wait_for_share(shares[-1])
        trial.strike_now()
        trial.system.redis.flushall()

    def _publish(self, trial: Trial, url: str) -> None:
        """Publish as many events as users-api does, at the same pace."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(WATCH.encode())
            for number in range(trial.load.total):
                email = f"account{number}@example.com"
                trial.beside[email] = insert_user(connection, email, publisher=OTHER)
                time.sleep(1 / (self.per_second or 1))

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        for publisher, relay in RELAYS.items():
            readers = _readers(trial, publisher)
            alone = len(readers) == 1 and readers <= trial.system.processes[relay].pids
            ledger.expect(alone, f"receipts of {publisher} are read by another relay")
        ledger.figure = f"{len(trial.beside):,} published by {OTHER}; D = {ledger.duplicate_mails}"


def _readers(trial: Trial, publisher: str) -> set[int]:
    """Return the processes that have read a publisher's receipts since Redis was wiped."""
    try:
        readers = trial.system.redis.xinfo_consumers(layout.receipts_key(publisher), GROUP)
    except ResponseError:  # no stream
        return set()
    return {int(reader["name"].rpartition(b".")[2]) for reader in readers}
