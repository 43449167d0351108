"""Carry out bulk operations, chunk by chunk. Any relay may go on with an operation that another one began.

Invariant: a chunk is one transaction. It locks the operation, so that one relay at a time works on it, moves up to
CHUNK deliveries and records how far it came. A relay that is killed leaves the operation as it was before the chunk.
The commit is synchronous, other than the relay's other commits: what an operator was shown as moved stays moved.
"""

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow, class_row, dict_row
from pydantic import ValidationError

from messaging.errors import MessagingError, OperationRefused
from messaging.publishing import bulk, confirming, operations, replays
from messaging.publishing.filtering import Filter
from messaging.publishing.looking import look
from messaging.publishing.searching import OLDEST, keys
from messaging.relay.listener import Listener

CHUNK = 500
"""The most deliveries that one transaction moves."""

WAIT_SECONDS = 5.0
"""A relay looks for operations this often without a notification: another relay may have died over one."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")

_TAKE: LiteralString = """
-- Lock the running operation that has waited longest, unless another relay works on it.
SELECT id, action, filter, requested_by, requested_at, event_id, subscription,
    set_config('synchronous_commit', 'on', true)
FROM operations WHERE state = 'running' ORDER BY progress_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""

_PROGRESS: LiteralString = """
-- Record how far an operation has come. `clock_timestamp()`, so that operations take turns.
UPDATE operations
SET moved = moved + %(moved)s, event_id = %(event_id)s, subscription = %(subscription)s, state = %(state)s,
    progress_at = clock_timestamp(), finished_at = CASE WHEN %(state)s <> 'running' THEN clock_timestamp() END,
    detail = %(detail)s
WHERE id = %(id)s
"""

_MOVES: dict[str, LiteralString] = {
    "retry": operations.RETRY_BY_OPERATOR,
    "cancel": operations.CANCEL,
    "replay": replays.MOVE,
    "confirm": confirming.CONFIRM,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that this relay has locked. `event_id`, `subscription`: the place up to which it was carried out."""

    id: int
    action: bulk.Action
    filter: dict[str, Any]
    requested_by: str | None
    requested_at: datetime
    event_id: UUID | None
    subscription: str | None
    set_config: str


class Operator:
    """Carries out operations. `listener`: hears of new ones. `chunk`: the most deliveries of one transaction."""

    def __init__(self, listener: Listener, publisher: str, chunk: int = CHUNK) -> None:
        self._listener = listener
        self._publisher = publisher
        self._chunk = chunk

    def step(self, stop: threading.Event) -> None:
        """Carry out one chunk, or wait for an operation."""
        if not self.operate():
            self._listener.wait(WAIT_SECONDS, stop)

    def close(self) -> None:
        """Close the connection."""
        self._listener.close()

    def operate(self) -> bool:
        """Carry out one chunk of one operation, and return whether there was one."""
        with self._listener.connection() as connection, connection.transaction():
            operation = connection.cursor(row_factory=class_row(Operation)).execute(_TAKE).fetchone()
            if operation is None:
                return False
            try:
                progress = self._carry_out(connection, operation)
            except (MessagingError, ValidationError) as refusal:  # this relay doesn't know what it is about
                progress = {"state": "failed", "moved": 0, "event_id": None, "subscription": None}
                progress |= {"detail": str(refusal)}
            connection.execute(_PROGRESS, {"id": operation.id, "detail": None, **progress})
        if progress["state"] != "running":
            log.info("operation.ended", operation=operation.id, action=operation.action, state=progress["state"])
        return True

    def _carry_out(self, connection: Connection[TupleRow], operation: Operation) -> dict[str, Any]:
        if operation.action not in _MOVES:
            raise OperationRefused(
                f"This relay doesn't know the action {operation.action}: upgrade it, and request this again."
            )
        statement, parameters = self._chosen(operation)
        after = {"after_event": operation.event_id, "after_subscription": operation.subscription}
        if operation.event_id is None:
            after = {"after_event": OLDEST.event_id, "after_subscription": OLDEST.subscription}
        parameters |= after | {"after": after["after_event"]}
        rows = connection.execute(statement, parameters).fetchall()
        found = [(event_id, subscription) for event_id, subscription, is_found in rows if is_found]
        parameters["event_ids"] = [event_id for event_id, _ in found]
        if operation.action != "replay":
            parameters["subscriptions"] = [subscription for _, subscription in found]
        if operation.action == "confirm":
            by, at = operation.requested_by, operation.requested_at
            parameters |= confirming.confirming(found, source=self._publisher, by=by, requested_at=at)
        row = connection.cursor(row_factory=dict_row).execute(_MOVES[operation.action], parameters).fetchone()
        is_over = len(rows) < self._chunk and all(is_found for *_, is_found in rows)
        place = rows[-1][:2] if rows else (operation.event_id, operation.subscription)
        state = "done" if is_over else "running"
        return {"state": state, "moved": row["moved"] if row else 0, "event_id": place[0], "subscription": place[1]}

    def _chosen(self, operation: Operation) -> tuple[LiteralString, dict[str, Any]]:
        """Return the statement that chooses what to move next, with its parameters but for the place."""
        meant = Filter.model_validate(operation.filter)
        if operation.action == "replay":
            effect = bulk.effect_of(meant)
            return replays.choose(meant, self._chunk), replays.parameters(meant, effect, operation.requested_at)
        where = look(meant)
        found = keys(where, self._chunk, ascending=True, also=bulk.BEFORE[operation.action])
        statement = f"""
            WITH {found}
            SELECT event_id, subscription, is_found
            FROM (SELECT *, true FROM found UNION ALL SELECT *, false FROM last)
                AS chosen (event_id, subscription, is_found)
            ORDER BY event_id, subscription, is_found DESC
            """  # noqa: S608  # of literals and numbers
        requested = {"action": operation.action, "by": operation.requested_by, "requested_at": operation.requested_at}
        return statement, where.parameters | requested
