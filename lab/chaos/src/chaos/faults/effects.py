"""The effect ledger's table is locked, or its database read-only, while mails are sent."""

import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
from psycopg import sql

from chaos.fault import Fault, Trial
from chaos.ledger import Ledger
from notifier import errors

BLAMES = [name for name, each in vars(errors).items() if getattr(each, "__module__", "") == errors.__name__]
"""The errors by which an attempt blames the mail server or the mail."""

TERMINATE = """
-- End every connection to a database, so that the next one has its new settings.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(database)s
"""


class LedgerAway(Fault):
    """The mail server answers in 5 to 300 ms meanwhile. It must not be blamed, and no mail may come twice."""

    number = 22
    per_second = 100.0
    recovers_within = 20.0
    seconds: float
    named: str

    def prepare(self, trial: Trial) -> None:
        trial.system.sink.delay = _answer_seconds

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(trial.dice.uniform(0.2, 0.5))
        trial.system.until(lambda: bool(trial.system.claimed()))
        with self.withheld(trial):
            trial.strike_now()
            time.sleep(self.seconds)
        trial.strikes[-1] = trial.now()  # the fault lasted until now
        trial.system.sink.delay = 0.0

    def withheld(self, trial: Trial) -> AbstractContextManager[None]:
        """Keep the ledger from being written."""
        raise NotImplementedError  # each fault of this kind has its own

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        [[open_effects]] = trial.system.query("notifier", "SELECT count(*) FROM effects WHERE state <> 'done'")
        ledger.expect(not open_effects, f"{open_effects} effects aren't recorded as done")
        log = trial.system.log("notifier")
        blamed = sum(log.count(name) for name in BLAMES)
        ledger.expect(not blamed, f"{blamed} x the mail server is blamed")
        named = log.count(self.named)
        ledger.expect(named > 0, f"no log says {self.named}")
        ledger.figure = f"{self.seconds:.0f} s; D = {ledger.duplicate_mails}; {named} x {self.named}"


class LedgerLocked(LedgerAway):
    """Another program holds a lock on its table."""

    title = "the effect ledger's table is locked"
    variant = "-locked"
    seconds, named = 12.0, "ledger.slow"

    @contextmanager
    def withheld(self, trial: Trial) -> Iterator[None]:
        """Hold a lock."""
        with psycopg.connect(trial.system.herald.databases["notifier"]) as connection:
            connection.execute("LOCK TABLE effects IN ACCESS EXCLUSIVE MODE")
            yield


class LedgerReadOnly(LedgerAway):
    """Its database accepts no writes, as after a failover to a replica."""

    title = "the effect ledger's database is read-only"
    variant = "-read-only"
    seconds, named = 30.0, "ledger.failed"

    @contextmanager
    def withheld(self, trial: Trial) -> Iterator[None]:
        """Make new connections read-only, and end the old ones."""
        database = trial.system.herald.databases["notifier"].rpartition("/")[2]
        with psycopg.connect(trial.postgres.url(), autocommit=True) as connection:
            name = sql.Identifier(database)
            connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
            connection.execute(TERMINATE, {"database": database})
            try:
                yield
            finally:
                connection.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))


def _answer_seconds(recipient: str) -> float:
    return random.Random(recipient).uniform(0.005, 0.3)  # noqa: S311  # no secret
