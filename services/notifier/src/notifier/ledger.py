"""The ledger of emails: claim, send, record. It makes a mail that is already sent, or being sent, stay single.

Between the server's 250 and `record` is the one window in which nobody can know whether a mail went out. A claim
that its attempt never settled ran into it, or died before; when it expires the operator's choice decides:
`resend` sends again (at least once), `hold` reports it as uncertain (at most once) until somebody asks for it. Even
`resend` asks somebody after three times without an answer: a server that is only slow would go on for ever.
Claims expire by the database's clock; whoever holds one sends within the time that was left when it asked for it.
"""

import threading
import time
from dataclasses import dataclass
from typing import Literal, LiteralString
from uuid import UUID, uuid4

import psycopg
import structlog

from messaging import RetryLater
from messaging.database import Pool
from notifier.errors import ClaimLost, MailHeld

Uncertain = Literal["resend", "hold"]

log: structlog.stdlib.BoundLogger = structlog.get_logger("notifier")

MAX_DOUBTS = 3
"""Sent so often without an answer, a mail waits for an operator even under `resend`."""

_CLAIM: LiteralString = """
-- Claim a mail nobody has begun, or one whose claim has run out: in `resend` until there have been three doubts, and in
-- `hold` only when an operator has asked for it again, which makes a new generation. What is sent is never claimed.
INSERT INTO emails (event_id, kind, state, claim, claimed_until, generation)
VALUES (%(event_id)s, %(kind)s, 'sending', %(token)s, now() + make_interval(secs => %(lease)s), %(generation)s)
ON CONFLICT (event_id, kind) DO UPDATE
SET state = 'sending', claim = excluded.claim, claimed_until = excluded.claimed_until,
    doubts = CASE WHEN emails.generation < excluded.generation THEN 0 ELSE emails.doubts END,
    generation = excluded.generation
WHERE emails.state <> 'sent' AND emails.claimed_until <= now()
    AND (emails.generation < excluded.generation OR %(resend)s AND emails.doubts < %(max_doubts)s)
RETURNING claim
"""

_LOOK: LiteralString = """
-- Why the claim failed: what state it is in, and for how many seconds somebody else has it.
SELECT state, extract(epoch FROM claimed_until - now())::float8 FROM emails
WHERE event_id = %(event_id)s AND kind = %(kind)s
"""

_RECORD: LiteralString = """
-- Sent, if the claim is still ours.
UPDATE emails SET state = 'sent', sent_at = now()
WHERE event_id = %(event_id)s AND kind = %(kind)s AND claim = %(token)s
"""

_DOUBT: LiteralString = """
-- Nobody can know. The claim is over, so that another attempt can have it, or an operator's retry.
UPDATE emails SET state = 'uncertain', doubts = doubts + 1, claimed_until = now()
WHERE event_id = %(event_id)s AND kind = %(kind)s AND state = 'sending'
    AND (claim = %(token)s OR claimed_until <= now())
RETURNING doubts
"""

_RELEASE: LiteralString = """
-- Certainly not sent: as if never begun.
DELETE FROM emails WHERE event_id = %(event_id)s AND kind = %(kind)s AND claim = %(token)s AND state = 'sending'
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one mail, until it expires: `until`, on this process' monotonic clock, at the latest."""

    event_id: UUID
    kind: str
    token: UUID
    until: float

    @property
    def seconds_left(self) -> float:
        """How long it lasts from now."""
        return self.until - time.monotonic()


class Ledger:
    """The emails table.

    `lease`: seconds that a claim lasts, more than one conversation can take. `stopping`: set when the worker stops.
    """

    def __init__(self, pool: Pool, *, uncertain: Uncertain, lease: float, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._pool = pool
        self._uncertain = uncertain
        self._lease = lease

    def claim(self, event_id: UUID, kind: str, generation: int) -> Claim | None:
        """Claim a mail; None, if it is sent already.

        Raises:
            RetryLater: another attempt has it right now.
            MailHeld: it may have been sent, and an operator decides.
        """
        claim = Claim(event_id, kind, uuid4(), time.monotonic() + self._lease)
        resend = self._uncertain == "resend"
        given = {"generation": generation, "lease": self._lease, "resend": resend, "max_doubts": MAX_DOUBTS}
        with self._pool.connection() as connection:
            if connection.execute(_CLAIM, _key(claim) | given).fetchone():
                return claim
            state, seconds = connection.execute(_LOOK, _key(claim)).fetchone() or ("released", 0.0)
        if state == "sent":
            return None
        if state == "released" or seconds > 0:
            raise RetryLater(
                "another attempt has claimed this mail, and is sending it or died with it",
                after=max(0.0, seconds) + 0.1,
            )
        self._execute(_DOUBT, claim)
        raise MailHeld("an earlier attempt ended without a word: it may have been sent")

    def record(self, claim: Claim, *, patience: float = 300.0) -> None:
        """Write down that the mail is sent, trying for `patience` seconds: PostgreSQL away mustn't repeat it.

        Nobody else tries meanwhile: the message stays in this worker's hands, and its heart beats.

        Raises:
            ClaimLost: this attempt was stopped for so long that another has taken over.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                recorded = self._execute(_RECORD, claim)
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._stopping.is_set():
                    log.warning("mail.sent_but_not_recorded", event_id=str(claim.event_id))
                    return  # sent it is: the receipt says so, and only if that is lost too is it in doubt
                time.sleep(0.2)
        if not recorded:
            raise ClaimLost("the mail was sent after its claim had run out; another attempt has it now")

    def doubt(self, claim: Claim) -> bool:
        """Note that the mail may have been sent, and return whether to send it again later without asking anyone."""
        with self._pool.connection() as connection:
            row = connection.execute(_DOUBT, _key(claim)).fetchone()
        return self._uncertain == "resend" and row is not None and row[0] < MAX_DOUBTS

    def release(self, claim: Claim) -> None:
        """Give the claim back: the mail was certainly not sent."""
        self._execute(_RELEASE, claim)

    def _execute(self, statement: LiteralString, claim: Claim) -> int:
        with self._pool.connection() as connection:
            return connection.execute(statement, _key(claim)).rowcount


def _key(claim: Claim) -> dict[str, object]:
    return {"event_id": claim.event_id, "kind": claim.kind, "token": claim.token}
