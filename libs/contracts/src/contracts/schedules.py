"""When time itself makes an event: the one table that relays read.

A schedule makes one event for each of its slots, however many relays run. What follows is a matter of subscriptions to
that event. docs/schedules.md shows how to declare one.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.events import ReportDue, Scheduled


class Schedule(BaseModel):
    """Makes one event for each slot: a time that the expression names.

    `name`: of a-z, 0-9 and _. It is in the database, so a renamed schedule is a new one.
    `cron`: five fields, read as Debian's cron reads them: minute, hour, day of the month, month, day of the week. A
    relay that starts checks it (`messaging.publishing.slots`).
    `time_zone`: where the expression's clock hangs, such as Europe/Berlin. Slots are stored in UTC.
    `event`: the newest version of the event's data.
    `catch_up`: which of the slots that were missed, because no relay ran, are made afterwards: only the last of them,
    all of them, oldest first, or none.
    """

    model_config = ConfigDict(frozen=True)

    name: str = Field(pattern="^[a-z0-9_]+$")
    cron: str
    time_zone: str
    event: type[Scheduled]
    catch_up: Literal["last", "all", "none"] = "last"


SCHEDULES: tuple[Schedule, ...] = (Schedule(name="daily_report", cron="0 6 * * *", time_zone="UTC", event=ReportDue),)
