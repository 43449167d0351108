"""The ledger of emails: claim, send, record. It makes a mail that is already sent, or being sent, stay single.

Between the server's 250 and `record` is the one window in which nobody can know whether a mail went out. A claim
that its attempt never settled ran into it, or died before; when it expires the operator's choice decides:
`resend` sends again (at least once), `hold` reports it as uncertain (at most once) until somebody asks for it.
Claims expire by the database's clock, later than any conversation with the mail server can last.
"""

import time
from dataclasses import dataclass
from typing import Literal, LiteralString
from uuid import UUID, uuid4

import psycopg

from messaging import RetryLater
from messaging.database import Pool
from notifier.errors import ClaimLost, MailHeld

Uncertain = Literal["resend", "hold"]

_CLAIM: LiteralString = """
-- Claim a mail nobody has begun, or one whose claim has run out: at once in `resend`, and in `hold` only when an
-- operator has asked for it again, which makes a new generation. A mail that is sent is never claimed.
INSERT INTO emails (event_id, kind, state, claim, claimed_until, generation)
VALUES (%(event_id)s, %(kind)s, 'sending', %(claim)s, now() + make_interval(secs => %(lease)s), %(generation)s)
ON CONFLICT (event_id, kind) DO UPDATE
SET state = 'sending', claim = excluded.claim, claimed_until = excluded.claimed_until, generation = excluded.generation
WHERE emails.state <> 'sent' AND emails.claimed_until <= now()
    AND (%(resend)s OR emails.generation < excluded.generation)
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

_HOLD: LiteralString = """
-- Nobody can know. The claim is over, so that an operator's retry can have it.
UPDATE emails SET state = 'uncertain', claimed_until = now()
WHERE event_id = %(event_id)s AND kind = %(kind)s AND state = 'sending'
    AND (claim = %(token)s OR claimed_until <= now())
"""

_RELEASE: LiteralString = """
-- Certainly not sent: as if never begun.
DELETE FROM emails WHERE event_id = %(event_id)s AND kind = %(kind)s AND claim = %(token)s AND state = 'sending'
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one mail, until it expires."""

    event_id: UUID
    kind: str
    token: UUID


class Ledger:
    """The emails table. `lease`: seconds that a claim lasts, more than one conversation can take."""

    def __init__(self, pool: Pool, *, uncertain: Uncertain, lease: float) -> None:
        self._pool = pool
        self._uncertain = uncertain
        self._lease = lease

    @property
    def holds(self) -> bool:
        """Whether an uncertain mail waits for an operator."""
        return self._uncertain == "hold"

    def claim(self, event_id: UUID, kind: str, generation: int) -> Claim | None:
        """Claim a mail; None, if it is sent already.

        Raises:
            RetryLater: another attempt has it right now.
            MailHeld: it may have been sent, and an operator decides.
        """
        claim = Claim(event_id, kind, uuid4())
        given = {"claim": claim.token, "generation": generation, "lease": self._lease, "resend": not self.holds}
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
        self.hold(claim)
        raise MailHeld("an earlier attempt ended without a word: it may have been sent")

    def record(self, claim: Claim, *, patience: float = 5.0) -> None:
        """Write down that the mail is sent, trying for `patience` seconds: a lapse of PostgreSQL mustn't repeat it.

        Raises:
            ClaimLost: this attempt was stopped for so long that another has taken over.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                recorded = self._execute(_RECORD, claim)
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        if not recorded:
            raise ClaimLost("the mail was sent after its claim had run out; another attempt has it now")

    def hold(self, claim: Claim) -> None:
        """Leave it to an operator: the mail may have been sent."""
        self._execute(_HOLD, claim)

    def release(self, claim: Claim) -> None:
        """Give the claim back: the mail was certainly not sent."""
        self._execute(_RELEASE, claim)

    def _execute(self, statement: LiteralString, claim: Claim) -> int:
        with self._pool.connection() as connection:
            return connection.execute(statement, _key(claim)).rowcount


def _key(claim: Claim) -> dict[str, object]:
    return {"event_id": claim.event_id, "kind": claim.kind, "token": claim.token}
