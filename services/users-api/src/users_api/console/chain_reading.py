"""An event with its deliveries, as the pages of one event and of one user need them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from pydantic import BaseModel

from messaging.publishing.attempts import HISTORY
from users_api.database import query
from users_api.pool import Pool
from users_api.schemas import DeliveryHistory
from users_api.subjects import subject

_LONGEST_REQUEST = timedelta(minutes=1)
"""If an event is older than that when it is committed, the clocks of publisher and database differ."""

MOST_EVENTS = 20
"""The most events of a user that a page shows; the newest."""

_COLUMNS: LiteralString = """now() AS now, events.id, type, subject, available_at, recorded_at, envelope,
    event_id, type AS event_type, subscription, state, attempts, crashes, generation, last_error, reference,
    confirmed_by, created_at, due_at, queued_at, started_at, finished_at, history, history_omitted"""

_ONE: LiteralString = f"""
-- One event with its deliveries, their history, and the database's time.
SELECT {_COLUMNS} FROM events LEFT JOIN deliveries ON event_id = events.id CROSS JOIN {HISTORY}
WHERE events.id = %(event)s
ORDER BY deliveries.created_at, subscription
"""  # noqa: S608  # of literals

_OF_SUBJECT: LiteralString = f"""
-- The newest events about a subject, each with its deliveries.
SELECT {_COLUMNS} FROM (
    SELECT * FROM events WHERE subject = %(subject)s ORDER BY id DESC LIMIT %(limit)s
) AS events LEFT JOIN deliveries ON event_id = events.id CROSS JOIN {HISTORY}
ORDER BY events.id DESC, deliveries.created_at, subscription
"""  # noqa: S608  # of literals

_DONE: LiteralString = """
-- What operators did to single deliveries of events, newest first, among their last operations.
SELECT id, action, requested_by, requested_at, (filter ->> 'event')::uuid AS event_id,
    filter -> 'subscriptions' ->> 0 AS subscription
FROM (SELECT * FROM operations ORDER BY id DESC LIMIT 5000) AS newest
WHERE filter ->> 'event' = ANY (%(events)s)
ORDER BY id DESC LIMIT 100
"""


class ChainDelivery(DeliveryHistory):
    """A delivery. `generation`: how often an operator has retried it."""

    generation: int

    @property
    def reported_at(self) -> datetime | None:
        """When the receipt that ended it was applied; None, if it hasn't ended or something else ended it."""
        crashed = any(each.outcome == "crashed" and each.ended_at == self.finished_at for each in self.history)
        by_receipt = self.state in ("succeeded", "failed", "uncertain") and not self.confirmed_by and not crashed
        return self.finished_at if by_receipt else None


class Done(BaseModel):
    """What an operator did to one delivery."""

    id: int
    action: str
    requested_by: str | None
    requested_at: datetime
    event_id: UUID
    subscription: str | None


class Chain(BaseModel):
    """An event, what became of it, and what operators did. `now`: the database's time."""

    now: datetime
    id: UUID
    type: str
    subject: str
    available_at: datetime
    recorded_at: datetime
    envelope: dict[str, Any]
    deliveries: list[ChainDelivery]
    done: list[Done] = []

    @property
    def requested_at(self) -> datetime:
        """When the publisher made the event, by its own clock; never later than the commit, nor long before it."""
        try:
            made = datetime.fromisoformat(str(self.envelope.get("time")))
            return made if timedelta(0) <= self.recorded_at - made <= _LONGEST_REQUEST else self.recorded_at
        except (ValueError, TypeError):  # it has no time, or none with an offset
            return self.recorded_at


async def chain_of_event(pool: Pool, event_id: UUID) -> Chain | None:
    """Return the chain of an event; None, if there is none."""
    chains = await _chains(pool, await query(pool, _ONE, {"event": event_id}))
    return chains[0] if chains else None


async def chains_of_user(pool: Pool, user_id: int) -> list[Chain]:
    """Return the chains of a user's newest events, newest first; one more than MOST_EVENTS if there are more."""
    parameters = {"subject": subject(user_id), "limit": MOST_EVENTS + 1}
    return await _chains(pool, await query(pool, _OF_SUBJECT, parameters))


async def _chains(pool: Pool, rows: Sequence[dict[str, Any]]) -> list[Chain]:
    by_event: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        by_event.setdefault(row["id"], []).append(row)
    if not by_event:
        return []
    done = await query(pool, _DONE, {"events": [str(event_id) for event_id in by_event]})
    return [
        Chain.model_validate(
            held[0]
            | {"deliveries": [row for row in held if row["event_id"]]}
            | {"done": [row for row in done if row["event_id"] == event_id]}
        )
        for event_id, held in by_event.items()
    ]
