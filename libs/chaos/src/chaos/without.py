"""Which guards there are, and which fault shows that a guard is missing."""

from dataclasses import dataclass, replace

from chaos.fault import Fault
from chaos.faults import FAULTS
from chaos.trial import Plan


@dataclass(frozen=True)
class Guard:
    """A guard, the processes that it is in, and the row of the ledger that must turn red without it."""

    name: str
    meaning: str
    processes: tuple[str, ...]
    row: int

    @property
    def fault(self) -> Fault:
        """The fault of that row."""
        return next(each for each in FAULTS if each.number == self.row)

    def taken_away(self, plan: Plan) -> Plan:
        """Return the same plan, without this guard."""
        return replace(plan, guard=self.name, unguarded=self.processes)


GUARDS = (
    Guard("idempotency", "the ledger of emails, and the log's unique key", ("notifier", "auditor"), 7),
    Guard("leases", "a claim that runs out", ("relay",), 2),
    Guard("reconciliation", "the relay's look for what got lost", ("relay",), 7),
    Guard("outbox", "event and user in one transaction", ("users-api",), 1),
    Guard("fencing", "news of an older attempt moves nothing", ("relay", "notifier"), 13),
)
