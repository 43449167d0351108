"""Bulk operations: what an operator wants done to all deliveries that a filter finds.

A request writes one row, and a relay carries it out in chunks (`messaging.relay.operate`). The set is fixed by the
filter and the time of the request: a delivery that fails later doesn't belong to it, so nothing is moved twice.

| action | moves | without states in the filter |
|---|---|---|
| retry | failed, uncertain and cancelled deliveries of subscriptions that exist | those that failed |
| cancel | pending and retrying deliveries, also of subscriptions that no longer exist | both |
| confirm | uncertain deliveries | those |
| replay | events of one subscription's type: deliveries that are missing or failed | also succeeded ones, if named |
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, LiteralString, get_args

from contracts import SUBSCRIPTIONS, EventData, Subscription
from messaging.errors import OperationRefused
from messaging.publishing import replays
from messaging.publishing.filtering import Filter
from messaging.publishing.operations import EXISTING
from messaging.publishing.searching import Reading, Total, count
from messaging.publishing.states import DUE, RETRYABLE, DeliveryState
from messaging.publishing.switches import switched_on

Action = Literal["retry", "cancel", "replay", "confirm"]
RecordedAction = Literal[Action, "run"]
"""An action of the table `operations`; `run`: an extra event of a schedule was made (`schedules.RUN`)."""

ACTIONS: tuple[Action, ...] = get_args(Action)

OperationState = Literal["running", "done", "cancelled", "failed"]

MOVABLE: Mapping[Action, tuple[DeliveryState, ...]] = {
    "retry": RETRYABLE,
    "cancel": DUE,
    "replay": ("failed", "succeeded"),
    "confirm": ("uncertain",),
}
_UNNAMED = {**MOVABLE, "retry": ("failed",), "replay": ("failed",)}

BEFORE: Mapping[Action, LiteralString] = {
    "retry": "finished_at <= %(requested_at)s",
    "cancel": "coalesce(started_at, '-infinity') <= %(requested_at)s",
    "confirm": "finished_at <= %(requested_at)s",
}
"""Whether a delivery was in its state when the operation was requested. One that is retrying was if its last attempt
had begun."""

ANY_TIME = datetime.max.replace(tzinfo=UTC)

CHANNEL: LiteralString = "herald_operations"
"""PostgreSQL's notification channel on which relays hear of an operation."""

WAKE: LiteralString = f"SELECT pg_notify('{CHANNEL}', '')"

_COLUMNS: LiteralString = """id, action, schedule, filter, requested_by, requested_at, state, eligible, exact, moved,
    progress_at, finished_at, detail"""

REQUEST: LiteralString = f"""
-- Record an operation, and wake the relays to carry it out.
INSERT INTO operations (action, filter, requested_by, eligible, exact)
VALUES (%(action)s, %(filter)s::jsonb, %(by)s, %(eligible)s, %(exact)s)
RETURNING {_COLUMNS}, pg_notify('{CHANNEL}', '')
"""  # noqa: S608  # of literals

RECENT: LiteralString = f"""
-- Operations, newest first.
SELECT {_COLUMNS} FROM operations WHERE id < %(before)s ORDER BY id DESC LIMIT %(limit)s
"""  # noqa: S608  # of literals

ONE: LiteralString = f"""
SELECT {_COLUMNS} FROM operations WHERE id = %(id)s
"""  # noqa: S608  # of literals

STOP: LiteralString = """
-- Cancel an operation, and record who did: what it has moved stays moved. This waits for a chunk that a relay is just
-- carrying out.
WITH current AS (
    SELECT id, state FROM operations WHERE id = %(id)s FOR UPDATE
), stopped AS (
    UPDATE operations
    SET state = 'cancelled', finished_at = now(), detail = 'stopped by ' || coalesce(%(by)s, 'unknown')
    FROM current
    WHERE operations.id = current.id AND current.state = 'running'
    RETURNING operations.id
)
SELECT state, EXISTS (SELECT FROM stopped) AS moved FROM current
"""

FORGET: LiteralString = """
-- Delete operations that ended long ago.
DELETE FROM operations WHERE id = ANY (ARRAY(
    SELECT id FROM operations WHERE finished_at < now() - %(retention)s ORDER BY id LIMIT %(limit)s
))
"""


def meant(action: Action, chosen: Filter) -> Filter:
    """Return the filter restricted to what an action can move.

    Raises:
        OperationRefused: it can move nothing of that.
    """
    if action == "cancel" and chosen.is_by_end:
        raise OperationRefused("What has ended can't be cancelled: leave out when it finished.")
    states = tuple(each for each in chosen.states or _UNNAMED[action] if each in MOVABLE[action])
    if not states:
        raise OperationRefused(f"Only deliveries that are {_listed(MOVABLE[action])} can be {PARTICIPLES[action]}.")
    return chosen.model_copy(update={"states": states, "subscriptions": _subscriptions(action, chosen)})


PARTICIPLES: Mapping[Action, str] = {
    "retry": "retried",
    "cancel": "cancelled",
    "replay": "replayed",
    "confirm": "confirmed",
}


def _listed(states: tuple[DeliveryState, ...]) -> str:
    return " or ".join(filter(None, (", ".join(states[:-1]), states[-1])))


def _subscriptions(action: Action, chosen: Filter) -> tuple[str, ...] | None:
    named = chosen.subscriptions
    unknown = [name for name in named or () if name not in EXISTING]
    if action in ("cancel", "confirm"):
        return named
    if unknown:
        raise OperationRefused(f"There is no subscription {unknown[0]}. Subscriptions: {', '.join(EXISTING)}.")
    if action == "replay":
        _require_replayable(chosen)
    return named or tuple(EXISTING)


def _require_replayable(chosen: Filter) -> None:
    if len(chosen.subscriptions or ()) != 1 or chosen.since is None:
        raise OperationRefused("A replay needs one subscription, and since when the events were made.")
    if chosen.error is not None or chosen.group is not None:
        raise OperationRefused("A replay is for events, whatever their errors: leave out error and group.")
    effect = effect_of(chosen)
    if "succeeded" in (chosen.states or ()) and not effect.repeatable:
        raise OperationRefused(f"What succeeded for {effect.name} can't be replayed: it might happen twice.")


def effect_of(chosen: Filter) -> Subscription[EventData]:
    """Return the subscription that a replay is for, with its delay.

    Raises:
        OperationRefused: it doesn't exist, or is off.
        ConfigurationError: a setting is wrong.
    """
    [name] = chosen.subscriptions or ("",)
    for declared in SUBSCRIPTIONS:
        if declared.name == name:
            for effect in switched_on([declared]):
                return effect
            raise OperationRefused(f"{name} is off: {declared.switch} is empty.")
    raise OperationRefused(f"There is no subscription {name}. Subscriptions: {', '.join(EXISTING)}.")


def eligible(action: Action, chosen: Filter) -> Reading[Total]:
    """Count what an action would move. `chosen`: as `meant` returns it."""
    if action == "replay":
        return (yield from replays.count(chosen, effect_of(chosen), ANY_TIME))
    return (yield from count(chosen, BEFORE[action], requested_at=ANY_TIME))


def requesting(action: Action, chosen: Filter, by: str | None, number: Total) -> dict[str, Any]:
    """Return the parameters of REQUEST. `number`: what is eligible."""
    described = chosen.model_dump_json(exclude_none=True)
    return {"action": action, "filter": described, "by": by, "eligible": number.count, "exact": number.exact}
