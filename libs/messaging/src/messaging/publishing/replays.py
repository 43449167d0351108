"""Which events a replay is for: those that a subscription never had, or for which its delivery failed.

With a time of the end only the latter."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from contracts import EventData, Subscription
from messaging.publishing.filtering import Filter, id_at, made_before
from messaging.publishing.operations import DUE_ANEW
from messaging.publishing.searching import Reading, Total

WINDOW = 30_000
"""The most events that one statement looks at, each with its delivery: 60 ms."""

_MOVABLE: LiteralString = """type = %(event_type)s AND recorded_at <= %(requested_at)s AND coalesce((
        SELECT state = ANY (%(states)s) AND finished_at <= %(requested_at)s
            AND finished_at >= coalesce(%(finished_since)s, '-infinity'::timestamptz)
            AND finished_at < coalesce(%(finished_until)s, 'infinity'::timestamptz)
        FROM deliveries WHERE event_id = looked.id AND subscription = %(subscription)s), %(missing)s)"""


def _source(chosen: Filter) -> LiteralString:
    scope: list[LiteralString] = ["id > %(after)s"]
    scope += ["subject = %(subject)s"] if chosen.subject is not None else []
    scope += ["id = %(event)s"] if chosen.event else []
    scope += ["id >= %(first)s"] if chosen.since else []
    scope += ["id < %(end)s"] if chosen.until else []
    scope += ["id < %(made_before)s"] if chosen.finished_until else []
    return f"events WHERE {' AND '.join(scope)}"


def choose(chosen: Filter, limit: int) -> LiteralString:
    """Return the statement that finds up to `limit` events after a place, and if it stopped earlier, where."""
    source = _source(chosen)
    return f"""
        WITH found AS MATERIALIZED (
            SELECT id FROM (SELECT id, type, recorded_at FROM {source} ORDER BY id LIMIT {WINDOW}) AS looked
            WHERE {_MOVABLE}
            ORDER BY id LIMIT {limit}
        ), last AS (
            SELECT id FROM {source} AND (SELECT count(*) FROM found) < {limit} ORDER BY id OFFSET {WINDOW - 1} LIMIT 1
        )
        SELECT id AS event_id, '' AS subscription, is_found
        FROM (SELECT id, true FROM found UNION ALL SELECT id, false FROM last) AS chosen (id, is_found)
        ORDER BY id, is_found DESC
        """  # noqa: S608  # of literals and numbers


def count(chosen: Filter, effect: Subscription[EventData], now: datetime) -> Reading[Total]:
    """Count the events: exactly, if the oldest of those that it looks at are all."""
    statement = f"""
        SELECT count(*) AS looked, count(*) FILTER (WHERE {_MOVABLE}) AS matched
        FROM (SELECT id, type, recorded_at FROM {_source(chosen)} ORDER BY id LIMIT {WINDOW + 1}) AS looked
        """  # noqa: S608  # of literals and numbers
    [row] = yield statement, parameters(chosen, effect, now) | {"after": UUID(int=0)}
    return Total(count=row["matched"], exact=row["looked"] <= WINDOW)


def parameters(chosen: Filter, effect: Subscription[EventData], requested_at: datetime) -> dict[str, Any]:
    """Return the parameters of these statements, but for `after`."""
    return {
        "subject": chosen.subject,
        "event": chosen.event,
        "first": chosen.since and id_at(chosen.since),
        "end": chosen.until and id_at(chosen.until),
        "made_before": chosen.finished_until and made_before(chosen.finished_until),
        "finished_since": chosen.finished_since,
        "finished_until": chosen.finished_until,
        "missing": not chosen.is_by_end,
        "states": list({"failed", *(chosen.states or ())}),
        "subscription": effect.name,
        "event_type": effect.event_type,
        "delay": effect.delay.total_seconds(),
        "requested_at": requested_at,
    }


MOVE: LiteralString = f"""
-- As `operations.REPLAY`, for these events. Each is locked before its delivery is touched.
WITH moved AS (
    INSERT INTO deliveries (event_id, subscription, due_at)
    SELECT id, %(subscription)s, greatest(available_at + make_interval(secs => %(delay)s), now()) FROM events
    WHERE id = ANY (%(event_ids)s)
    ORDER BY id
    FOR KEY SHARE
    ON CONFLICT (event_id, subscription) DO UPDATE
    SET {DUE_ANEW}
    WHERE deliveries.state = ANY (%(states)s) AND deliveries.finished_at <= %(requested_at)s
    RETURNING event_id
)
SELECT count(*) AS moved, pg_notify('herald_due', '') FROM moved
"""  # noqa: S608  # of literals
