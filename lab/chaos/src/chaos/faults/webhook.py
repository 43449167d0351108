"""The webhook's endpoint is away, then silent, then overloaded, then back."""

from chaos.fault import Fault, Trial
from chaos.ledger import Ledger

LAG = """
-- The slowest of twenty registrations: seconds until its mail and audit row were recorded, of those registered between
-- two moments.
SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at))
FROM deliveries WHERE subscription IN ('welcome_email', 'audit_log')
    AND created_at >= to_timestamp(%(since)s) AND created_at < to_timestamp(%(until)s)
"""


class Down(Fault):
    """It refuses connections, takes requests without an answer, and answers 503: a third of the outage each."""

    number = 17
    title = "webhook endpoint down, then back"
    environment = {"WEBHOOK_TIMEOUT": "2"}
    share, least, per_second = 0.4, 400, 40.0
    patience, recovers_within = 300.0, 120.0  # the backoff is about as long as the outage was
    recovering = ("webhook",)
    ratio, slack = 1.2, 0.05
    judged_from = 1500

    def strike(self, trial: Trial) -> None:
        hook = trial.system.hook
        assert hook is not None  # noqa: S101  # `webhook` is set
        trial.wait_for_share(0.03)  # the first requests pay for connections
        began = trial.now()
        trial.wait_for_share(0.25)
        taken, tried = trial.now(), hook.tried
        hook.stop()
        trial.wait_for_share(0.42)
        hook.start()
        hook.mood = "hangs"
        trial.wait_for_share(0.58)
        hook.mood = "busy"
        trial.wait_for_share(0.75)
        trial.strike_now()
        hook.mood = "accepts"
        self._tried = hook.tried - tried
        trial.load.join()
        self._during, self._otherwise = self._lag(trial, taken, trial.struck), self._lag(trial, began, taken)
        self._seconds = trial.struck - taken

    def _lag(self, trial: Trial, since: float, until: float) -> float:
        [[seconds]] = trial.system.query("users", LAG, {"since": since, "until": until})
        return float(seconds or 0.0)

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        retried = sum(1 for (_, name), row in ledger.states.items() if name == "webhook" and row[1] > 1)
        ledger.expect(retried > 0, "no webhook had to be sent again")
        enough = trial.load.total >= self.judged_from
        slow = self._during > self.ratio * self._otherwise + self.slack
        ledger.expect(not enough or not slow, f"mails and audit rows took more than {self.ratio} times as long")
        lags = f"{1000 * self._during:.0f} ms against {1000 * self._otherwise:.0f} ms"
        lags += "" if enough else " (too few to judge it)"
        ledger.figure = (
            f"away for {self._seconds:.0f} s, called {self._tried} times meanwhile; {retried} sent again, all accepted,"
            f" D = {ledger.duplicate_webhooks}; p95 of mail and audit {lags}"
        )
