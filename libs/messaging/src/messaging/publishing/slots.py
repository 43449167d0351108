"""Which slots a schedule has, and which of them are made: cron expressions on the clocks of time zones.

Slots are instants, in UTC, strictly one after another. At a change of the clocks they follow Debian's cron
(https://manpages.debian.org/cron.8):
- An expression with fixed hours and minutes ("30 2 * * *") has one slot for each time that it names. One that the
  clocks skip comes when they have changed; one that they show twice comes the first time.
- An expression whose minutes or hours begin with * ("*/15 * * * *") follows the clock: no slot in the hour that is
  skipped, and slots in both hours that have the same name. CronSim itself would lose slots here on the day on which
  the clocks of Lord Howe Island skip half an hour, so it gets a clock that doesn't change, and at the change another.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from contracts import Schedule
from messaging.errors import ConfigurationError

GRACE = timedelta(minutes=1)
"""A slot that is older than this, and not made yet, was missed."""

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

AT_ONCE = 1_000
"""The most slots of a schedule that are made at once. The next ones follow at once."""


def slots(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Yield the slots after a time, in UTC, without end."""
    zone, after = _zone(schedule), after.astimezone(UTC)
    if any(field.startswith("*") for field in schedule.cron.split()[:2]):
        yield from _by_the_clock(schedule.cron, zone, after)
        return
    for slot in (time.astimezone(UTC) for time in CronSim(schedule.cron, after.astimezone(zone))):
        if slot > after:  # in the second of two hours with the same name, CronSim begins with the first one's rest
            yield slot


def _by_the_clock(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the slots of an expression that follows the clock."""
    start = after
    while True:
        clock = timezone(_offset(zone, after))
        for slot in (time.astimezone(UTC) for time in CronSim(cron, start.astimezone(clock))):
            if change := _first_change(zone, after, slot):
                after, start = change, change - SECOND
                break
            yield slot
            after = slot
        else:  # CronSim found none in 50 years
            return


def _first_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """Return the second in which the zone's clock first shows another offset than at `start`; None, if not by `end`."""
    before = _offset(zone, start)
    while start < end:
        after = min(start + DAY, end)  # no zone changes its clock twice within a day
        if _offset(zone, after) != before:
            while after - start > SECOND:
                middle = start + (after - start) // 2
                start, after = (start, middle) if _offset(zone, middle) != before else (middle, after)
            return after.replace(microsecond=0)
        start = after
    return None


def _offset(zone: ZoneInfo, time: datetime) -> timedelta:
    return time.astimezone(zone).utcoffset() or timedelta(0)


def _zone(schedule: Schedule) -> ZoneInfo:
    return ZoneInfo(schedule.time_zone)


def due(schedule: Schedule, since: datetime, now: datetime) -> list[datetime]:
    """Return the slots after `since` that shall be made now, oldest first, at most AT_ONCE."""
    if schedule.catch_up == "all":
        return list(islice(_between(schedule, since, now), AT_ONCE))
    punctual = list(islice(_between(schedule, max(since, now - GRACE), now), AT_ONCE))
    return punctual if punctual or schedule.catch_up == "none" else _last(schedule, since, now)


def _between(schedule: Schedule, since: datetime, now: datetime) -> Iterator[datetime]:
    return takewhile(lambda slot: slot <= now, slots(schedule, since))


def _last(schedule: Schedule, since: datetime, now: datetime) -> list[datetime]:
    """Return the newest slot. Looks further and further back: after a year there may be half a million slots."""
    back = GRACE
    while True:
        back *= 4
        start = max(since, now - back)
        found = list(_between(schedule, start, now))
        if found or start == since:
            return found[-1:]


def require_readable(schedules: Iterable[Schedule]) -> None:
    """Check the schedules' expressions and time zones.

    Raises:
        ConfigurationError: one can't be read. The message says how to write it.
    """
    names: set[str] = set()
    for schedule in schedules:
        where = f"contracts/schedules.py: the schedule {schedule.name}"
        if schedule.name in names:
            raise ConfigurationError(f"{where} is declared twice; give each a name of its own")
        names.add(schedule.name)
        if fault := _fault(schedule):
            raise ConfigurationError(f"{where} {fault}")


def _fault(schedule: Schedule) -> str:
    example = 'write five fields, such as "0 6 * * MON-FRI": minute, hour, day of the month, month, day of the week'
    try:
        _zone(schedule)
    except (KeyError, ValueError, OSError):
        return f"has no known time_zone {schedule.time_zone!r}; write one such as Europe/Berlin or UTC"
    if not re.fullmatch(r"\S+(\s+\S+){4}", schedule.cron):
        return f"has the cron expression {schedule.cron!r}; {example}"
    try:
        next(slots(schedule, datetime.now(UTC)))
    except Exception as error:  # CronSim's own, or what an unusual expression makes of it
        return f"has the cron expression {schedule.cron!r} ({error or type(error).__name__}); {example}"
    return ""
