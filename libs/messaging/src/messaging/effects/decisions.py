"""An operator's decisions about uncertain effects, made at the consumer, where the evidence is.

The consumer has no access to the publisher's database. So a decision travels like every other report: as a receipt to
the publisher's relay. Receipts can be lost; a decision can therefore be repeated, and changes nothing more.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import redis
from psycopg import Connection
from psycopg.rows import class_row

from messaging.consuming.receipt_writer import report
from messaging.wire.receipt import Outcome, Receipt

_UNCERTAIN: LiteralString = """
-- List uncertain effects, the oldest first.
SELECT event_id, subscription, state, claimed_until AS since, doubts, evidence, publisher, dispatch
FROM effects WHERE state = 'uncertain' ORDER BY claimed_until
"""

_FIND: LiteralString = """
-- Return an event's effects that are uncertain, or were when an operator decided: they have a publisher.
SELECT event_id, subscription, state, claimed_until AS since, doubts, evidence, publisher, dispatch
FROM effects WHERE event_id = %(event_id)s AND (state = 'uncertain' OR state = 'done' AND publisher IS NOT NULL)
    AND (%(subscription)s::text IS NULL OR subscription = %(subscription)s)
"""

_CONFIRM: LiteralString = """
-- Record that an uncertain effect has happened.
UPDATE effects SET state = 'done', done_at = coalesce(done_at, now()), reference = coalesce(reference, %(reference)s)
WHERE event_id = %(event_id)s AND subscription = %(subscription)s AND state IN ('uncertain', 'done')
"""


@dataclass(frozen=True, slots=True)
class UncertainEffect:
    """An effect of which it is unknown whether it happened.

    `state`: `done`, if an operator has confirmed it. `since`: when the doubt was recorded. `doubts`: how many attempts
    ended without an answer. `evidence`: what is known about the last of them. `publisher` and `dispatch`: of that
    attempt; None, if it was made by an older version.
    """

    event_id: UUID
    subscription: str
    state: str
    since: datetime
    doubts: int
    evidence: str | None
    publisher: str | None
    dispatch: int | None


def uncertain_effects(connection: Connection[Any]) -> list[UncertainEffect]:
    """List the effects that wait for a decision, the oldest first."""
    return connection.cursor(row_factory=class_row(UncertainEffect)).execute(_UNCERTAIN).fetchall()


def find(connection: Connection[Any], event_id: UUID, subscription: str | None) -> list[UncertainEffect]:
    """Return the effects of an event about which an operator may decide, or has already confirmed."""
    parameters = {"event_id": event_id, "subscription": subscription}
    return connection.cursor(row_factory=class_row(UncertainEffect)).execute(_FIND, parameters).fetchall()


def confirm(
    connection: Connection[Any], client: redis.Redis, effect: UncertainEffect, reference: str | None = None
) -> bool:
    """Record that an effect has happened: its delivery becomes `succeeded`. `reference`: the provider's, if known.

    Return False, and change nothing, if an attempt has claimed the effect meanwhile.

    Raises:
        redis.RedisError: the ledger has the decision, and the relay may not. Repeat it.
    """
    parameters = {"event_id": effect.event_id, "subscription": effect.subscription, "reference": reference}
    if not connection.execute(_CONFIRM, parameters).rowcount:
        return False
    _report(client, effect, "succeeded", reference)
    return True


def resend(client: redis.Redis, effect: UncertainEffect) -> None:
    """Let the relay deliver an uncertain effect again, in a new generation, whatever happened before.

    Raises:
        redis.RedisError: the relay may not know of the decision. Repeat it.
    """
    _report(client, effect, "resend", None)


def _report(client: redis.Redis, effect: UncertainEffect, outcome: Outcome, reference: str | None) -> None:
    if effect.publisher and effect.dispatch is not None:
        receipt = Receipt(effect.event_id, effect.subscription, effect.dispatch, outcome, reference=reference)
        report(client, effect.publisher, [receipt])
