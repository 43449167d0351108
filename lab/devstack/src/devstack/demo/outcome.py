"""What became of everyone who registered: the count at the end."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path

import psycopg

from devstack.mails import summary


@dataclass(frozen=True)
class Outcome:
    """How many registered, and how many of them have a mail and an audit row. `again`: mails that came twice.

    `unfinished`: deliveries that haven't succeeded, though their effect may have happened: they may send a mail again.
    """

    registered: int
    mailed: int
    audited: int
    again: int
    audited_again: int
    unfinished: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing (yet)."""
        return self.registered == self.mailed == self.audited and not self.audited_again

    @property
    def is_final(self) -> bool:
        """Whether nothing is missing, and nothing is to come."""
        return self.is_complete and not self.unfinished

    def __str__(self) -> str:
        """Say it in one line."""
        twice = f", {self.again} of them twice (a worker was killed in mid-send)" if self.again else ""
        return f"{self.registered} registered, {self.mailed} mails{twice}, {self.audited} audit rows: {self._verdict}"

    @property
    def _verdict(self) -> str:
        if not self.is_complete:
            return "LOST: see the log"
        if self.unfinished:
            return f"NOT OVER, {self.unfinished} deliveries haven't succeeded: see the log"
        return "nothing lost"


def outcome(emails: Collection[str], databases: Mapping[str, str], mails: Path) -> Outcome:
    """Look at the deliveries, the mailbox and the audit log. `mails`: the mailbox's directory."""
    with psycopg.connect(databases["users"]) as connection:
        states = connection.execute("SELECT count(*) FROM deliveries WHERE state <> 'succeeded'").fetchall()
    wanted = set(emails)
    recipients = (parseaddr(summary(path).recipient)[1] for path in mails.glob("*.eml"))
    received = Counter(address for address in recipients if address in wanted)
    with psycopg.connect(databases["auditor"]) as connection:
        rows = connection.execute("SELECT email FROM audit_log WHERE email = ANY(%s)", [list(wanted)]).fetchall()
    audited = Counter(email for (email,) in rows)
    return Outcome(
        registered=len(wanted),
        mailed=len(received),
        audited=len(audited),
        again=received.total() - len(received),
        audited_again=audited.total() - len(audited),
        unfinished=states[0][0],
    )
