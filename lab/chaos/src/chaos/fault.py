"""A fault, and the running system that it is injected into."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chaos.ledger import Ledger
from chaos.load import Load
from chaos.system import System
from devstack.postgres import Postgres

FOLLOW_UP_AFTER = "2s"

STILL = 75.0
"""Seconds without any change after which nothing more will happen: a mail without an answer waits for 60."""

LAST_EFFECT = """
-- When the last effect of the registrations before the fault was recorded, of some subscriptions.
SELECT extract(epoch FROM max(finished_at)) FROM deliveries
WHERE created_at < to_timestamp(%(struck)s) AND subscription = ANY (%(subscriptions)s)
"""

Progress = Callable[[str], None]


@dataclass
class Trial:
    """A system with a load, and the dice of this seed.

    `beside`: users that others registered: email address and id. `strikes`: when the fault came, on PostgreSQL's clock.
    """

    system: System
    load: Load
    dice: random.Random
    postgres: Postgres
    progress: Progress
    beside: dict[str, int] = field(default_factory=dict)
    strikes: list[float] = field(default_factory=list)
    in_load: bool = False

    @property
    def struck(self) -> float:
        """The last fault's moment."""
        return self.strikes[-1]

    def now(self) -> float:
        """Ask PostgreSQL for the time."""
        return float(self.system.query("users", "SELECT extract(epoch FROM clock_timestamp())")[0][0])

    def rounds(self, registrations: int) -> int:
        """Draw the round in which to die, in the first half of the load. `registrations`: of one round, about."""
        return max(1, round(self.dice.uniform(0.1, 0.5) * self.load.total / registrations))

    def until_struck(self, name: str, seconds: float = 300) -> None:
        """Wait until a process has died of its order; note the moment."""
        self.system.until(lambda: not self.system.processes[name].running, seconds)
        self.strike_now()

    def strike_now(self) -> None:
        """Note the moment of the fault, and whether the first one came in the middle of the load."""
        if not self.strikes:
            self.in_load = self.load.running and 0 < len(self.load.answered) < self.load.total
        self.strikes.append(self.now())

    def wait_for_share(self, share: float) -> None:
        """Wait until a share of the load has been answered."""
        while self.load.running and len(self.load.answered) < share * self.load.total:
            self.progress(f"{len(self.load.answered):,} of {self.load.total:,} registered")
            time.sleep(0.005)

    def recovered(self, subscriptions: Sequence[str]) -> float | None:
        """Return the longest time, in seconds, from a fault until these effects of earlier users were recorded."""
        took = []
        for struck in self.strikes:
            ends = [
                float(last)
                for (last,) in self.system.published(
                    LAST_EFFECT, {"struck": struck, "subscriptions": list(subscriptions)}
                )
                if last
            ]
            took.append(max([0.0, *(end - struck for end in ends)]))
        return max(took) if took else None

    def settle(self, seconds: float) -> None:
        """Wait until nothing is left to do, for `seconds` at most, or until nothing has changed for STILL seconds."""
        deadline = time.monotonic() + seconds
        seen, since = None, time.monotonic()
        while (left := self.system.unfinished()) and time.monotonic() < min(deadline, since + STILL):
            picture = (self.system.states(), len(self.system.sink.accepted))
            if picture != seen:
                seen, since = picture, time.monotonic()
            self.progress(f"settling, {left:,} to go")
            time.sleep(0.2)


class Fault:
    """One row of the ledger. Subclasses say what happens, and what else must be true than in every row.

    `share`: of the requested registrations, if the fault is slow. `least`: with fewer the load ends too soon.
    `environment`: of every process. `webhook`: whether each registration is reported to a webhook too.
    `follow_up`: whether a second mail follows after FOLLOW_UP_AFTER.
    `needs_redis`: a real one, not the fake. `clients`, `per_second`: the load.
    `patience`: seconds to settle in. `recovers_within`: seconds, at most, until the `recovering` effects are done.
    """

    number: int
    title: str
    variant = ""
    needs_redis = False
    share = 1.0
    least = 20
    environment: dict[str, str] = {}  # noqa: RUF012  # overridden, never changed
    webhook = True
    follow_up = True
    clients = 16
    per_second: float | None = None
    patience = 300.0
    recovers_within: float | None = None
    recovering: Sequence[str] = ("welcome_email", "audit_log")

    def prepare(self, trial: Trial) -> None:
        """Give orders, before the processes start."""

    def strike(self, trial: Trial) -> None:
        """Inject the fault at a random moment of the load; return when its cause is gone."""

    def afterwards(self, trial: Trial) -> None:
        """Do what an operator does when the load is over and the system has settled."""

    def judge(self, trial: Trial, ledger: Ledger) -> None:
        """Check what else must be true, and set the row's further figure."""
        ledger.expect(not ledger.duplicate_mails, f"{ledger.duplicate_mails} mails twice")
        ledger.expect(not ledger.failed + ledger.uncertain, f"{ledger.failed} failed, {ledger.uncertain} uncertain")
