"""What is known of each schedule, and an extra event of one: for the command and the console."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from contracts import SCHEDULES, SUBSCRIPTIONS, Event, EventData, Schedule
from messaging.publishing.schedules import event_of
from messaging.publishing.slots import slots
from messaging.publishing.switches import effects_of
from users_api import PUBLISHER

NAMES = [schedule.name for schedule in SCHEDULES]


class NoEffect(Exception):
    """No effect of the schedule is on, so an event of it would change nothing. The message says what to set."""


def named(name: str) -> Schedule | None:
    """Return a schedule; None, if there is none of this name."""
    return next((schedule for schedule in SCHEDULES if schedule.name == name), None)


def listed(rows: Sequence[dict[str, Any]], upcoming: int = 1) -> Iterator[dict[str, Any]]:
    """Yield each schedule with its last slot and its next ones. `rows`: of the statement LAST."""
    last = {row["schedule"]: row for row in rows}
    for schedule in SCHEDULES:
        row = last[schedule.name]
        following = list(islice(slots(schedule, row["now"]), upcoming))
        yield {
            "name": schedule.name,
            "cron": schedule.cron,
            "time_zone": schedule.time_zone,
            "catch_up": schedule.catch_up,
            "event_type": schedule.event.event_type,
            "last_slot": row["slot"],
            "last_event_id": row["event_id"],
            "last_made_at": row["made_at"],
            "next_slot": following[0],
            "next_slot_there": following[0].astimezone(ZoneInfo(schedule.time_zone)),
            "upcoming": following,
        }


def extra(schedule: Schedule, now: datetime) -> tuple[Event[EventData], list[str]]:
    """Return an extra event of a schedule, and the names of its effects. `now`: the database's time, and the slot.

    Raises:
        NoEffect: no effect of it is on.
        ConfigurationError: a setting of an effect is wrong.
    """
    effects = [effect.name for effect in effects_of(schedule.event)]
    if not effects:
        raise NoEffect(_no_effect(schedule))
    return event_of(schedule, now, now, PUBLISHER), effects


def _no_effect(schedule: Schedule) -> str:
    wanted = [effect.switch for effect in SUBSCRIPTIONS if effect.event_type == schedule.event.event_type]
    remedy = f"set {' or '.join(filter(None, wanted))} for users-api and relay alike" if wanted else ""
    return f"No effect of {schedule.name} is on: {remedy or 'declare a subscription'}."
