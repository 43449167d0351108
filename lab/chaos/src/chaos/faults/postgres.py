"""PostgreSQL, which the API needs: its transaction broken off at every point."""

import time
from urllib.parse import urlsplit

from chaos.fault import Fault, Trial
from chaos.faults.deaths import Deaths
from chaos.ledger import Ledger
from chaos.proxy import CutProxy


class KillApi(Deaths):
    """It dies with rows written, and again with rows committed and not answered."""

    number = 1
    title = "kill -9 of the API in mid-request, on either side of its commit"
    process = "users-api"
    points = (("api.written", 10), ("api.committed", 10))

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        events = trial.system.query("users", "SELECT count(*) FROM events")[0][0]
        ledger.expect(trial.load.unanswered > 0, "no request was in flight when it died")
        ledger.expect(events == ledger.users, f"{ledger.users} users, {events} events")
        ledger.expect(ledger.users == trial.load.total, f"{ledger.users} users of {trial.load.total}")
        again = sum(each.tries > 1 for each in trial.load.answered.values())
        ledger.figure = f"users = events = {events:,}; {again} asked again with their key"


class Restart(Fault):
    """PostgreSQL stops, in order or killed, and starts again."""

    number = 11
    title = "PostgreSQL restarted"

    def strike(self, trial: Trial) -> None:
        trial.wait_for_share(trial.dice.uniform(0.2, 0.8))
        trial.strike_now()
        if trial.dice.random() < 0.5:  # a coin
            trial.postgres.stop()
        else:
            trial.postgres.kill()
        time.sleep(trial.dice.uniform(1, 3))
        trial.postgres.start()

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        ledger.expect(trial.load.unavailable > 0, "no request came while it was away")
        ledger.figure = f"{trial.load.unavailable} x 503 with Retry-After, 0 false 201"


class CutCommit(Fault):
    """Connections of the API end while it commits: before PostgreSQL heard of it, or after."""

    number = 12
    title = "connection cut during COMMIT"

    def prepare(self, trial: Trial) -> None:
        url = trial.system.herald.databases["users"]
        address = urlsplit(url)
        self._proxy = CutProxy(address.port or 5432, trial.dice, share=min(0.3, max(0.01, 150 / trial.load.total)))
        self._proxy.start()
        trial.system.redirect("users-api", DATABASE_URL=url.replace(f":{address.port}/", f":{self._proxy.port}/"))

    def afterwards(self, trial: Trial) -> None:
        self._proxy.stop()

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        super().judge(trial, ledger)
        before, after = self._proxy.cut_before, self._proxy.cut_after
        ledger.expect(before > 0 < after, f"cut {before} before, {after} after")
        ledger.expect(ledger.users == trial.load.total, f"{ledger.users} users of {trial.load.total}")
        ledger.figure = f"cut {before} x before, {after} x after: one user for each key"
