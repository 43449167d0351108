"""A mail server that refuses, and one that doesn't answer."""

import threading
import time
from collections import Counter

from chaos.fault import Fault, Trial
from chaos.ledger import Ledger

SPREAD = """
-- Of mails whose first attempt was found failed by one and the same statement: within how many seconds their second
-- attempts come. Without jitter they would come at the same moment.
SELECT coalesce(max(span), 0) FROM (
    SELECT extract(epoch FROM max(due_at) - min(due_at)) AS span FROM deliveries
    WHERE subscription = 'welcome_email' AND state = 'retrying' AND attempts = 1 GROUP BY xmin::text
) AS spans
"""


def number_of(email: str) -> int:
    """Return which registration of the load an address is of."""
    return int(email[1 : email.index("@")])


class Refuse(Fault):
    """For some seconds every mail is deferred, and every twentieth address doesn't exist."""

    number = 14
    follow_up = False  # the server refuses by recipient, and both mails would count
    title = "SMTP 421, then 550"

    def prepare(self, trial: Trial) -> None:
        self._deferred: Counter[str] = Counter()
        self._closed = threading.Event()
        trial.system.sink.answer = self._answer

    def _answer(self, recipient: str) -> str:
        if self._closed.is_set():
            self._deferred[recipient] += 1
            return "421 closing, come back later"
        return "550 no such mailbox" if number_of(recipient) % 20 == 0 else "250 OK"

    def strike(self, trial: Trial) -> None:
        begin = trial.dice.uniform(0.2, 0.6)
        trial.wait_for_share(begin)
        trial.strike_now()
        self._closed.set()
        self._spread, until = 0.0, time.monotonic() + 5
        while (trial.load.running and len(trial.load.answered) < (begin + 0.1) * trial.load.total) or not self._spread:
            self._spread = max(self._spread, float(trial.system.query("users", SPREAD)[0][0]))
            if time.monotonic() > until:
                break
        self._closed.clear()

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        refused = {email for email in trial.load.answered if number_of(email) % 20 == 0}
        failed = set(ledger.of("welcome_email", "failed"))
        tries = {ledger.states[email, "welcome_email"][1] - self._deferred[email] for email in failed}
        ledger.expect(failed == refused, f"{len(failed)} failed, {len(refused)} refused")
        ledger.expect(tries <= {1}, f"550 was final only after {tries} attempts")
        ledger.expect(self._spread > 0, "retries come at the same moment: no jitter")
        ledger.expect(ledger.failed == len(failed), f"{ledger.failed - len(failed)} audits failed")
        ledger.expect(not ledger.duplicate_mails, f"{ledger.duplicate_mails} mails twice")
        ledger.expect(not ledger.uncertain, f"{ledger.uncertain} uncertain")
        ledger.figure = (
            f"{len(self._deferred)} deferred, retries spread over {self._spread:.2f} s; "
            f"{len(failed)} refused, 1 attempt each"
        )


class Hang(Fault):
    """Every hundredth mail is accepted without an answer."""

    number = 15
    follow_up = False  # as for Refuse
    title = "SMTP hangs after DATA (`hold`)"
    environment = {"MAIL_TIMEOUT": "3", "NOTIFIER_UNCERTAIN": "hold"}
    bound = 3.0 + 2.0

    def prepare(self, trial: Trial) -> None:
        trial.system.sink.answer = lambda recipient: None if number_of(recipient) % 100 == 0 else "250 OK"

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        hung = {email for email in trial.load.answered if number_of(email) % 100 == 0}
        uncertain = set(ledger.of("welcome_email", "uncertain"))
        took = trial.system.query(
            "users",
            "SELECT max(extract(epoch FROM finished_at - started_at)) FROM deliveries WHERE state = 'uncertain'",
        )[0][0]
        ledger.expect(uncertain == hung, f"{len(uncertain)} uncertain, {len(hung)} hung")
        ledger.expect(took is None or took < self.bound, f"one took {took} s")
        ledger.expect(not ledger.duplicate_mails, f"{ledger.duplicate_mails} mails twice")
        ledger.expect(not ledger.failed, f"{ledger.failed} failed")
        ledger.figure = f"{len(uncertain)} uncertain, none took more than {float(took or 0):.1f} s; all others arrived"
