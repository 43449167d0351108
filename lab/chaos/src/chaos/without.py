"""Which guards there are, and which fault shows that a guard is missing, and how."""

from dataclasses import dataclass, replace

from chaos.fault import Fault
from chaos.faults import FAULTS
from chaos.system import WORKERS
from chaos.trial import Plan


@dataclass(frozen=True)
class Guard:
    """A guard, the processes that it is in, the row that must turn red without it (such as "7" or "5-hold"), and why.

    `name`: also the order to those processes (`chaos.sabotage`). `statement`: what the auditor's database loses.
    """

    name: str
    meaning: str
    processes: tuple[str, ...]
    row: str
    because: str
    statement: str = ""

    @property
    def fault(self) -> Fault:
        """The fault of that row."""
        return next(fault for fault in FAULTS if f"{fault.number}{fault.variant}" == self.row)

    def taken_away(self, plan: Plan) -> Plan:
        """Return the same plan, without this guard."""
        return replace(plan, guard=self.name, unguarded=self.processes, statement=self.statement)


_NO_KEY = "ALTER TABLE audit_log DROP CONSTRAINT audit_log_event_id_key"

GUARDS = (
    Guard("effects", "the effect ledger", ("notifier",), "7", "mails twice"),
    Guard("claims", "a claim that ran out is not used", ("notifier",), "13", "mails twice after it woke"),
    Guard("recorder", "effects are recorded at once", ("notifier",), "5-resend", "sent and not recorded"),
    Guard("retries", "recording is tried until it is done", ("notifier",), "22-read-only", "as done"),
    Guard("hold", "at most once, if so chosen", ("notifier",), "5-hold", "mails twice under hold"),
    Guard("resend", "at least once, if so chosen", ("notifier",), "5-resend", "uncertain under resend"),
    Guard("unique-key", "the log's unique key", ("auditor",), "6", "rows twice", _NO_KEY),
    Guard("leases", "a lease that runs out", ("relay",), "2", "stuck"),
    Guard("reconciliation", "the relay's look for what got lost", ("relay",), "7", "stuck"),
    Guard("outbox", "event and user in one transaction", ("users-api",), "1", "lost"),
    Guard("strictness", "only what is exactly ours is a message", WORKERS, "24", "left in Redis"),
    Guard("publishers", "receipts by publisher", ("relay", *WORKERS), "23", "by another relay"),
    Guard("fencing", "news of an older attempt moves nothing", ("relay",), "13", "backwards"),
)
