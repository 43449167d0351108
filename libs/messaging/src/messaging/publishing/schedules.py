"""Make the events of schedules: each slot once, however many relays make it at the same time.

Invariant: an event is inserted only with the row `(schedule, slot)`, in the same statement, and that row's key is
unique. A relay that dies before the commit leaves neither; one that is late inserts neither.

A schedule begins when a relay first sees its name, with a row whose slot is -infinity: earlier slots are never made up.
Later slots count from the newest row. So a changed expression holds from the newest slot on. A schedule that was
removed keeps its newest row, and if it comes back, what was due meanwhile counts as missed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

from contracts import Event, EventData, Schedule
from messaging.publishing.outbox import PUBLISH, WAKE, subscribed
from messaging.publishing.switches import effects_of

LOOK: LiteralString = """
-- Return the time, and the time from which each schedule's next slots count: its newest slot, or when it began. A
-- schedule without any row begins now.
WITH named AS (
    SELECT unnest(%(schedules)s::text[]) AS schedule
), begun AS (
    INSERT INTO schedule_slots (schedule, slot)
    SELECT schedule, '-infinity' FROM named
    WHERE NOT EXISTS (SELECT FROM schedule_slots WHERE schedule = named.schedule)
    ON CONFLICT DO NOTHING
)
SELECT now(), schedule, coalesce(since, now())
FROM named LEFT JOIN LATERAL (
    SELECT CASE WHEN slot = '-infinity' THEN made_at ELSE slot END AS since FROM schedule_slots
    WHERE schedule = named.schedule
    ORDER BY slot DESC
    LIMIT 1
) AS newest ON true
"""

MAKE: LiteralString = f"""
-- Insert slots that don't exist yet, and publish the events of exactly those. The commit is synchronous, other than the
-- relay's other commits: if PostgreSQL lost it after the effect, the slot would be made again, with another event.
WITH offered AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(schedules)s::text[], %(slots)s::timestamptz[], %(types)s::text[],
        %(subjects)s::text[], %(envelopes)s::json[]) AS offered (id, schedule, slot, type, subject, envelope)
), made AS (
    INSERT INTO schedule_slots (schedule, slot, event_id)
    SELECT schedule, slot, id FROM offered ORDER BY schedule, slot
    ON CONFLICT DO NOTHING
    RETURNING event_id
), new_event AS (
    SELECT id, type, subject, envelope, NULL::timestamptz AS available_at FROM offered JOIN made ON event_id = id
), {PUBLISH}
SELECT event_id, {WAKE}, set_config('synchronous_commit', 'on', true) FROM made
"""  # noqa: S608  # of literals

RUN: LiteralString = f"""
-- Publish an extra event of a schedule, and record who wanted it. What it moved are the deliveries of the event.
WITH new_event AS (
    SELECT %(id)s::uuid AS id, %(type)s AS type, %(subject)s AS subject, %(envelope)s::json AS envelope,
        NULL::timestamptz AS available_at
), {PUBLISH}, recorded AS (
    INSERT INTO operations (action, schedule, filter, requested_by, state, eligible, exact, moved, finished_at)
    SELECT 'run', %(schedule)s, jsonb_build_object('event', id), %(by)s, 'done', %(effects)s, true, %(effects)s, now()
    FROM new_event
)
SELECT {WAKE}
"""  # noqa: S608  # of literals

LAST: LiteralString = """
-- Return the time, and of each schedule the newest slot that was made.
SELECT now(), schedule, slot, event_id, made_at
FROM unnest(%(schedules)s::text[]) AS schedule LEFT JOIN LATERAL (
    SELECT slot, event_id, made_at FROM schedule_slots
    WHERE schedule_slots.schedule = schedule.schedule AND slot > '-infinity'
    ORDER BY slot DESC
    LIMIT 1
) AS newest ON true
"""

TIME: LiteralString = """
-- Return the time.
SELECT now()
"""

FORGET: LiteralString = """
-- Delete old slots, but never the newest row of a schedule: its next slots count from there.
DELETE FROM schedule_slots WHERE (schedule, slot) IN (
    SELECT schedule, slot FROM schedule_slots AS old
    WHERE made_at < now() - %(retention)s
        AND EXISTS (SELECT FROM schedule_slots WHERE schedule = old.schedule AND slot > old.slot)
    LIMIT %(limit)s
)
"""


def event_of(schedule: Schedule, slot: datetime, now: datetime, publisher: str) -> Event[EventData]:
    """Return a new event for a slot of a schedule. `now`: the database's time."""
    slot = slot.astimezone(UTC)
    data = schedule.event(schedule=schedule.name, slot=slot, time_zone=schedule.time_zone)
    return Event.about(
        data,
        source=publisher,
        subject=f"schedules/{schedule.name}",
        correlation_id=f"{schedule.name}-{slot:%Y-%m-%dT%H:%MZ}",
        time=now,
    )


def running(schedule: Schedule, event: Event[EventData], by: str | None) -> dict[str, Any]:
    """Return the parameters of `RUN`. `event`: an extra one of the schedule. `by`: who wants it."""
    return {
        "schedule": schedule.name,
        "id": event.id,
        "type": event.type,
        "subject": event.subject,
        "envelope": event.model_dump_json(),
        "by": by,
        "effects": len(effects_of(type(event.data))),
        **subscribed(),
    }


def making(slots: Sequence[tuple[Schedule, datetime]], now: datetime, publisher: str) -> dict[str, Any]:
    """Return the parameters of `MAKE`, for slots of schedules. Deliveries are those of effects that are on."""
    events = [event_of(schedule, slot, now, publisher) for schedule, slot in slots]
    return {
        "ids": [event.id for event in events],
        "schedules": [schedule.name for schedule, _ in slots],
        "slots": [slot for _, slot in slots],
        "types": [event.type for event in events],
        "subjects": [event.subject for event in events],
        "envelopes": [event.model_dump_json() for event in events],
        **subscribed(),
    }
