"""Workers killed and stopped at the worst moments."""

import os
import signal
import time

from chaos.fault import Fault, Trial
from chaos.faults.deaths import Deaths
from chaos.ledger import Ledger
from chaos.system import SENDING
from notifier.attempt import AT_ONCE

THREADS = 8
"""Of a worker: each sends one mail at a time, and has ten claimed and not recorded at most."""


PACE = 200.0
"""Registrations a second: as fast as the API can, few of them would be over before a worker gets to die."""


class KillNotifier(Deaths):
    """The notifier dies once, with mails claimed, some of which may have been accepted."""

    process = "notifier"
    per_second = PACE

    def look(self, trial: Trial) -> None:
        claimed = trial.system.sending()
        self._in_flight, self._accepted = len(claimed), len(claimed & trial.system.sink.events())


class KillNotifierBeforeSend(KillNotifier):
    """Not one of them is on its way."""

    number = 4
    title = "kill -9 of the notifier before a send"
    points = (("notifier.before_send", 1),)
    recovers_within = 60.0

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ledger.expect(self._in_flight > 0, "no mail was claimed when it died")
        ledger.expect(not self._accepted, f"{self._accepted} were sent when it died")
        ledger.figure = f"{self._in_flight} claimed and not sent, D = {ledger.duplicate_mails}"


class KillNotifierAfterSend(KillNotifier):
    """One is accepted, and its ledger doesn't know: nobody can know, and an operator has chosen."""

    number = 5
    points = (("notifier.sent", 1),)
    recovers_within = 20.0

    def __init__(self, choice: str) -> None:
        self.variant = f"-{choice}"
        self.title = f"kill -9 of the notifier after SMTP 250, before its commit (`{choice}`)"
        self.environment = {"NOTIFIER_UNCERTAIN": choice}

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        k, sent, d, held = self._in_flight, self._accepted, ledger.duplicate_mails, ledger.uncertain
        ledger.expect(0 < sent <= k <= THREADS * AT_ONCE, f"{k} claimed and {sent} sent when it died")
        ledger.expect(not ledger.failed, f"{ledger.failed} failed")
        if self.variant == "-hold":
            ledger.expect(d == 0, f"{d} mails twice under hold")
            ledger.expect(sent <= held <= k, f"{held} uncertain with K = {k}, {sent} of them sent")
        else:
            ledger.expect(d <= min(k, sent + THREADS), f"{d} mails twice with K = {k}, {sent} of them sent")
            ledger.expect(not held, f"{held} uncertain under resend")
        ledger.figure = f"K = {k}, {sent} of them sent, D = {d}, uncertain {held}"


class KillAuditor(Deaths):
    """It dies with a group written, and again with a group committed."""

    number = 6
    title = "kill -9 of the auditor on either side of its commit"
    process = "auditor"
    per_second = PACE
    points = (("auditor.written", 10), ("auditor.committed", 50))
    recovers_within = 20.0

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ledger.figure = f"{ledger.duplicate_audits} rows twice (there is no hash chain to verify yet)"


class StopNotifier(Fault):
    """It sleeps past every lease, another does its work, and it wakes up believing that it holds all it held."""

    number = 13
    title = "SIGSTOP of the notifier past its lease, then SIGCONT"
    environment = {"MAIL_TIMEOUT": "4"}
    lease = 7.0  # of a claim: MAIL_TIMEOUT and three seconds

    def prepare(self, trial: Trial) -> None:
        trial.system.sink.delay = 0.05  # so that there are always some in flight

    def strike(self, trial: Trial) -> None:
        trial.system.add("notifier-2", "notifier")
        trial.wait_for_share(trial.dice.uniform(0.3, 0.6))
        pids = trial.system.processes["notifier"].pids
        self._signal(pids, signal.SIGSTOP)
        trial.strike_now()
        time.sleep(1)
        self._in_flight = self._claimed_before(trial)
        trial.system.until(lambda: self._claimed_before(trial) == 0)  # somebody else has claimed them, and sent
        time.sleep(trial.dice.uniform(0, 3))
        self._signal(pids, signal.SIGCONT)

    def _claimed_before(self, trial: Trial) -> int:
        """Count the mails that are still being sent by whoever was stopped."""
        before = "claimed_until < to_timestamp(%(struck)s) + make_interval(secs => %(lease)s)"
        given = {"struck": trial.struck, "lease": self.lease}
        return len(trial.system.query("notifier", f"{SENDING} AND {before}", given))

    def _signal(self, pids: set[int], number: int) -> None:
        for pid in pids:
            os.kill(pid, number)

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        k, d = self._in_flight, ledger.duplicate_mails
        fenced = sum(trial.system.log("notifier").count(end) for end in ("ClaimLost", "delivery.uncertain"))
        ledger.expect(k > 0, "nothing was in flight when it was stopped")
        ledger.expect(fenced > 0, "no attempt came too late")
        ledger.expect(d <= k, f"{d} mails twice with K = {k}")
        ledger.expect(not ledger.failed + ledger.uncertain, f"{ledger.failed} failed, {ledger.uncertain} uncertain")
        ledger.figure = f"K = {k}, D = {d}; {fenced} stale outcomes fenced"
