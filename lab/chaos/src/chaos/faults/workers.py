"""Workers killed and stopped at the worst moments."""

import os
import signal
import time

from chaos.fault import Fault, Trial
from chaos.faults.deaths import Deaths
from chaos.ledger import Ledger
from chaos.system import CLAIMED
from messaging.effects.ledger import SLACK
from messaging.effects.once import AT_ONCE

THREADS = 8
"""Of a worker. Each sends one mail at a time, and has at most AT_ONCE claimed and not recorded."""

UNRECORDED = 2 * THREADS
"""Mails that were sent and not recorded, at most, when a worker dies: recording takes less time than two mails of
SLOW_MAIL seconds do."""

SLOW_MAIL = 0.2

SENT = (30, 60)
"""Mails that are sent before a worker dies: each thread has sent about half of those that it claimed first."""

PACE = 200.0
"""Registrations a second. As fast as the API can, the load would be over before a worker dies."""


class KillNotifier(Deaths):
    """The notifier dies once, with mails claimed, some of which may have been accepted."""

    process = "notifier"
    least, per_second = 1000, PACE

    def look(self, trial: Trial) -> None:
        claimed = trial.system.claimed()
        self._in_flight, self._accepted = len(claimed), len(claimed & trial.system.sink.mailed())
        trial.system.sink.delay = 0.0


class KillNotifierBeforeSend(KillNotifier):
    """The notifier dies before any of the claimed mails was sent."""

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
    """A mail is accepted and not recorded. No process can know that, and an operator has chosen what follows."""

    number = 5
    points = ()
    recovers_within = 30.0  # a claim of 15 s, and the backlog of a held relay

    def __init__(self, choice: str) -> None:
        self.variant = f"-{choice}"
        self.title = f"kill -9 of the notifier after SMTP 250, before its commit (`{choice}`)"
        self.environment = {"NOTIFIER_UNCERTAIN": choice}

    def prepare(self, trial: Trial) -> None:
        trial.system.sabotage(self.process, f"kill:notifier.sent:{trial.dice.randint(*SENT)}")
        trial.system.sink.delay = SLOW_MAIL

    def strike(self, trial: Trial) -> None:
        relay = trial.system.processes["relay"].pids
        _signal(relay, signal.SIGSTOP)
        trial.wait_for_share(0.3)
        _signal(relay, signal.SIGCONT)  # so much is due at once that every thread claims AT_ONCE mails
        super().strike(trial)

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        k, sent, d, held = self._in_flight, self._accepted, ledger.duplicate_mails, ledger.uncertain
        ledger.expect(0 < k <= THREADS * AT_ONCE, f"{k} claimed when it died")
        ledger.expect(0 < sent <= UNRECORDED, f"{sent} sent and not recorded when it died")
        ledger.expect(not ledger.failed, f"{ledger.failed} failed")
        if self.variant == "-hold":
            ledger.expect(d == 0, f"{d} mails twice under hold")
            ledger.expect(sent <= held <= k, f"{held} uncertain with K = {k}, {sent} of them sent")
        else:
            ledger.expect(d <= min(k, sent + THREADS), f"{d} mails twice with K = {k}, {sent} of them sent")
            ledger.expect(not held, f"{held} uncertain under resend")
        ledger.figure = f"K = {k}, {sent} of them sent, D = {d}, uncertain {held}"


class KillAuditor(Deaths):
    """The auditor dies with a group written, again with a group committed, and again with a seal written."""

    number = 6
    title = "kill -9 of the auditor on either side of its commit, and before that of a seal"
    process = "auditor"
    per_second = PACE
    points = (("auditor.written", 10), ("auditor.committed", 50), ("auditor.sealing", 200))
    recovers_within = 20.0

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ledger.figure = f"{ledger.duplicate_audits} rows twice; {ledger.chain}"


class StopNotifier(Fault):
    """Stopped past every lease, while another does its work, the notifier then goes on as if it held its claims."""

    number = 13
    title = "SIGSTOP of the notifier past its lease, then SIGCONT"
    environment = {"MAIL_TIMEOUT": "4"}
    lease = 4.0 + 1.0 + SLACK  # of a claim: MAIL_TIMEOUT, a second for writing the mail, and the ledger's own slack

    def prepare(self, trial: Trial) -> None:
        trial.system.sink.delay = 0.05  # so that there are always some in flight

    def strike(self, trial: Trial) -> None:
        trial.system.add("notifier-2", "notifier")
        trial.wait_for_share(trial.dice.uniform(0.3, 0.6))
        pids = trial.system.processes["notifier"].pids
        _signal(pids, signal.SIGSTOP)
        trial.strike_now()
        time.sleep(1)
        self._in_flight = self._claimed_before(trial)
        trial.system.until(lambda: self._claimed_before(trial) == 0)  # the other notifier has claimed and sent them
        time.sleep(trial.dice.uniform(0, 3))
        self._twice_before = _twice(trial)
        _signal(pids, signal.SIGCONT)

    def _claimed_before(self, trial: Trial) -> int:
        """Count the mails that the stopped notifier has claimed."""
        before = "claimed_until < to_timestamp(%(struck)s) + make_interval(secs => %(lease)s)"
        given = {"struck": trial.struck, "lease": self.lease}
        return len(trial.system.query("notifier", f"{CLAIMED} AND {before}", given))

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        k, d = self._in_flight, ledger.duplicate_mails
        fenced = sum(trial.system.log("notifier").count(end) for end in ("ClaimLost", "delivery.uncertain"))
        ledger.expect(k > 0, "nothing was in flight when it was stopped")
        ledger.expect(fenced > 0, "no attempt came too late")
        ledger.expect(d <= k, f"{d} mails twice with K = {k}")
        late = d - self._twice_before
        ledger.expect(late <= THREADS, f"{late} mails twice after it woke")
        ledger.expect(not ledger.failed + ledger.uncertain, f"{ledger.failed} failed, {ledger.uncertain} uncertain")
        ledger.figure = f"K = {k}, D = {d}; {fenced} stale outcomes fenced"


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


def _twice(trial: Trial) -> int:
    sink = trial.system.sink
    return sum(len(recipients) - len(set(recipients)) for recipients in (sink.recipients, sink.followed_up))
