"""The ledger of emails: claim, send, record. It makes a mail that is already sent, or being sent, stay single.

Between the server's 250 and the record is the one window in which nobody can know whether a mail went out. A claim
that its attempt never settled ran into it, or died before; when it expires the operator's choice decides:
`resend` sends again (at least once), `hold` reports it as uncertain (at most once) until somebody asks for it. Even
`resend` asks somebody after three times without an answer: a server that is only slow would go on for ever.
Claims expire by the database's clock; whoever holds one sends within the time that was left when it asked for it.

Every statement is for many mails, and does nothing more when it is repeated: its answer may have got lost. Mails are
found by `= ANY`, not by a join with `unnest`: whose plan, made when the table was empty, would go on to read all of it.
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, LiteralString
from uuid import UUID, uuid4

from messaging import RetryLater
from messaging.process.database import Pool
from notifier.errors import MailHeld

Uncertain = Literal["resend", "hold"]

SETTINGS: tuple[LiteralString, ...] = ("plan_cache_mode = force_generic_plan", "enable_seqscan = off")
"""Of the ledger's connections: making a plan takes longer than doing what it says, so each makes one and keeps it.
It is by the index, also where the table was analysed when it was small enough to be read whole."""

MAX_DOUBTS = 3
"""Sent so often without an answer, a mail waits for an operator even under `resend`."""

_SETTLE: LiteralString = """
-- One round trip and one commit for a round of mails: record what is sent, prolong the claims of what isn't yet, if
-- they are still ours, and claim the next. Claimed is a mail nobody has begun, or one whose claim has run out: in
-- `resend` until there have been three doubts, and in `hold` only when an operator has asked for it again, which makes
-- a new generation. What is sent is never claimed. Sorted, so that attempts that overlap wait and don't deadlock.
WITH held AS (
    UPDATE emails
    SET state = CASE WHEN event_id = ANY (%(sent)s) THEN 'sent' ELSE state END,
        sent_at = CASE WHEN event_id = ANY (%(sent)s) THEN coalesce(sent_at, now()) END,
        claimed_until = CASE WHEN event_id = ANY (%(kept)s) THEN now() + make_interval(secs => %(lease)s)
            ELSE claimed_until END
    WHERE event_id = ANY (%(sent)s::uuid[] || %(kept)s::uuid[]) AND kind = %(kind)s AND claim = %(token)s
        AND (event_id = ANY (%(sent)s) OR state = 'sending')
    RETURNING event_id
), claimed AS (
    INSERT INTO emails (event_id, kind, state, claim, claimed_until, generation)
    SELECT event_id, %(kind)s, 'sending', %(token)s, now() + make_interval(secs => %(lease)s), generation
    FROM (SELECT unnest(%(wanted)s::uuid[]) AS event_id, unnest(%(generations)s::int[]) AS generation) AS wanted
    ORDER BY event_id
    ON CONFLICT (event_id, kind) DO UPDATE
    SET state = 'sending', claim = excluded.claim, claimed_until = excluded.claimed_until,
        doubts = CASE WHEN emails.generation < excluded.generation THEN 0 ELSE emails.doubts END,
        generation = excluded.generation
    WHERE emails.state <> 'sent' AND (emails.claim = excluded.claim OR emails.claimed_until <= now()
        AND (emails.generation < excluded.generation OR %(resend)s AND emails.doubts < %(max_doubts)s))
    RETURNING event_id
)
SELECT event_id FROM held UNION ALL SELECT event_id FROM claimed
"""

_LOOK: LiteralString = """
-- Why claims failed: what state the mails are in, and for how many seconds somebody else has them.
SELECT event_id, state, extract(epoch FROM claimed_until - now())::float8 FROM emails
WHERE event_id = ANY (%(event_ids)s) AND kind = %(kind)s
"""

_DOUBT: LiteralString = """
-- Nobody can know. The claim is over, so that another attempt can have it, or an operator's retry.
UPDATE emails SET state = 'uncertain', doubts = doubts + 1, claimed_until = now()
WHERE event_id = ANY (%(event_ids)s) AND kind = %(kind)s AND state = 'sending'
    AND (claim = %(token)s OR claimed_until <= now())
RETURNING event_id, doubts
"""

_RELEASE: LiteralString = """
-- Certainly not sent: as if never begun.
DELETE FROM emails
WHERE event_id = ANY (%(event_ids)s) AND kind = %(kind)s AND claim = %(token)s AND state = 'sending'
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt's right to send mails of one kind: by the token it knows which are its own."""

    kind: str
    token: UUID = field(default_factory=uuid4)


class Ledger:
    """The emails table.

    `lease`: seconds that a claim lasts, more than one conversation can take. `stopping`: set when the worker stops.
    """

    def __init__(self, pool: Pool, *, uncertain: Uncertain, lease: float, stopping: threading.Event) -> None:
        self.lease = lease
        self.stopping = stopping
        self._pool = pool
        self._uncertain = uncertain

    def settle(
        self,
        claim: Claim,
        *,
        sent: Collection[UUID] = (),
        kept: Collection[UUID] = (),
        wanted: Mapping[UUID, int] | None = None,
        timeout: float | None = None,
    ) -> set[UUID]:
        """Record mails, keep the claims of others, and claim more; return the events of which all that was granted.

        `wanted`: with the generation of each. `timeout`: seconds to wait for a connection, if not the pool's.
        """
        new = wanted or {}
        given = {
            **_own(claim),
            "sent": list(sent),
            "kept": list(kept),
            "wanted": list(new),
            "generations": list(new.values()),
            "lease": self.lease,
            "resend": self._uncertain == "resend",
            "max_doubts": MAX_DOUBTS,
        }
        with self._pool.connection(timeout) as connection:
            return {row[0] for row in connection.execute(_SETTLE, given, prepare=True)}

    def look(self, claim: Claim, event_ids: Collection[UUID]) -> dict[UUID, RetryLater | MailHeld | None]:
        """Tell why mails can't be claimed: None, if sent already; another attempt has it; or an operator decides."""
        with self._pool.connection() as connection:
            found = connection.execute(_LOOK, _own(claim) | {"event_ids": list(event_ids)}).fetchall()
        states = {event_id: (state, seconds) for event_id, state, seconds in found}
        fates = {each: _fate(*states.get(each, ("released", 0.0))) for each in event_ids}
        held = [each for each, fate in fates.items() if isinstance(fate, MailHeld)]
        if held:
            self.doubt(claim, held)
        return fates

    def doubt(self, claim: Claim, event_ids: Collection[UUID]) -> set[UUID]:
        """Note that mails may have been sent; return those to send again later without asking anyone."""
        with self._pool.connection() as connection:
            doubts = connection.execute(_DOUBT, _own(claim) | {"event_ids": list(event_ids)}).fetchall()
        return {event_id for event_id, count in doubts if self._uncertain == "resend" and count < MAX_DOUBTS}

    def release(self, claim: Claim, event_ids: Collection[UUID]) -> None:
        """Give claims back: the mails were certainly not sent."""
        with self._pool.connection() as connection:
            connection.execute(_RELEASE, _own(claim) | {"event_ids": list(event_ids)})


def _own(claim: Claim) -> dict[str, object]:
    return {"kind": claim.kind, "token": claim.token}


def _fate(state: str, seconds: float) -> RetryLater | MailHeld | None:
    if state == "sent":
        return None
    if state == "released" or seconds > 0:
        reason = "another attempt has claimed this mail; it is still sending, or it died meanwhile"
        return RetryLater(reason, after=max(0.0, seconds) + 0.1)
    return MailHeld("an earlier attempt ended without reporting a result; the mail may have been sent")
