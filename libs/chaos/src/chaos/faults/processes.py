"""Relay and workers killed, stopped and doubled, at the worst moments."""

import os
import signal
import threading
import time

import psycopg
from psycopg.rows import TupleRow

from chaos.fault import Fault, Trial
from chaos.ledger import Ledger
from chaos.load import Answered, Load
from contracts import Event, UserRegistered
from messaging import publish

SENDING = "SELECT count(*) FROM emails WHERE state = 'sending'"


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


def insert_user(
    connection: psycopg.Connection[TupleRow], email: str, version: type[UserRegistered] = UserRegistered, **more: str
) -> int:
    """Write a user and the event, as another producer would, and leave the transaction open."""
    insert = "INSERT INTO users (email, email_key, full_name) VALUES (%s, %s, 'Late') RETURNING id, created_at"
    row = connection.execute(insert, (email, email)).fetchone()
    assert row is not None  # noqa: S101  # RETURNING
    data = version(user_id=row[0], email=email, full_name="Late", registered_at=row[1], **more)
    event = Event.about(data, source="users-api", subject=f"users/{row[0]}", correlation_id="chaos")
    connection.execute(*publish([event]))
    return int(row[0])


class KillNotifierBeforeSend(Fault):
    """It dies with mails claimed, and not one on its way."""

    number = 4
    title = "kill -9 of the notifier before a send"
    recovers_within = 60.0

    def prepare(self, trial: Trial) -> None:
        trial.system.sabotage("notifier", f"kill:notifier.before_send:{trial.passings()}")

    def strike(self, trial: Trial) -> None:
        trial.until_struck("notifier")
        trial.system.replace("notifier")


class KillNotifierAfterSend(Fault):
    """It dies with a mail accepted that its ledger doesn't know of: nobody can know, and an operator has chosen."""

    number = 5
    recovers_within = 20.0

    def __init__(self, choice: str) -> None:
        self.variant = f"-{choice}"
        self.title = f"kill -9 of the notifier after SMTP 250, before its commit (`{choice}`)"
        self.environment = {"NOTIFIER_UNCERTAIN": choice}
        self._in_flight = 0

    def prepare(self, trial: Trial) -> None:
        trial.system.sabotage("notifier", f"kill:notifier.sent:{trial.passings()}")

    def strike(self, trial: Trial) -> None:
        trial.until_struck("notifier")
        self._in_flight = trial.system.query("notifier", SENDING)[0][0]
        trial.system.replace("notifier")

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        k, d, held = self._in_flight, ledger.duplicate_mails, ledger.uncertain
        ledger.expect(k > 0, "nothing was in flight when it died")
        ledger.expect(not ledger.failed, f"{ledger.failed} failed")
        if self.variant == "-hold":
            ledger.expect(d == 0, f"{d} mails twice under hold")
            ledger.expect(0 < held <= k, f"{held} uncertain with K = {k}")
        else:
            ledger.expect(d <= k, f"{d} mails twice with K = {k}")
            ledger.expect(not held, f"{held} uncertain under resend")
        ledger.figure = f"K = {k}, D = {d}, uncertain {held}"


class KillAuditor(Fault):
    """It dies with a group written, and again with a group committed."""

    number = 6
    title = "kill -9 of the auditor on either side of its commit"
    recovers_within = 20.0

    def prepare(self, trial: Trial) -> None:
        trial.system.sabotage("auditor", f"kill:auditor.written:{trial.rounds(50)}")

    def strike(self, trial: Trial) -> None:
        trial.until_struck("auditor")
        trial.system.replace("auditor", f"kill:auditor.committed:{trial.rounds(200)}")
        trial.until_struck("auditor")
        trial.system.replace("auditor")

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ledger.figure = "each row once (there is no hash chain yet)"


class StopNotifier(Fault):
    """It sleeps past every lease, another does its work, and it wakes up believing that it holds all it held."""

    number = 13
    title = "SIGSTOP of the notifier past its lease, then SIGCONT"
    environment = {"SMTP_TIMEOUT": "4"}
    lease = 7.0  # of a claim: SMTP_TIMEOUT and three seconds

    def prepare(self, trial: Trial) -> None:
        trial.system.sink.delay = 0.05  # so that there are always some in flight

    def strike(self, trial: Trial) -> None:
        trial.system.add("notifier-2", "notifier")
        trial.wait_for_share(trial.dice.uniform(0.4, 0.6))
        pids = trial.system.processes["notifier"].pids
        self._signal(pids, signal.SIGSTOP)
        trial.strike_now()
        time.sleep(1)
        self._in_flight = trial.system.query(
            "notifier",
            f"{SENDING} AND claimed_until < to_timestamp(%(struck)s) + make_interval(secs => %(lease)s)",
            {"struck": trial.struck, "lease": self.lease},
        )[0][0]
        time.sleep(trial.dice.uniform(19, 24))
        self._signal(pids, signal.SIGCONT)

    def _signal(self, pids: set[int], number: int) -> None:
        for pid in pids:
            os.kill(pid, number)

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        k, d = self._in_flight, ledger.duplicate_mails
        fenced = trial.system.log("notifier").count("ClaimLost")
        ledger.expect(k > 0, "nothing was in flight when it was stopped")
        ledger.expect(d <= k, f"{d} mails twice with K = {k}")
        ledger.expect(not ledger.failed + ledger.uncertain, f"{ledger.failed} failed, {ledger.uncertain} uncertain")
        ledger.figure = f"K = {k}, D = {d}; {fenced} stale outcomes fenced"
