"""Every event that Herald publishes, one model for each version."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.envelope import EventData


class UserRegistered(EventData):
    """A user registered, and the registration is committed."""

    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 1

    user_id: int
    email: str
    full_name: str
    registered_at: AwareDatetime


class Scheduled(EventData):
    """An event that a schedule makes: one for each slot. A subclass adds no field, because nothing would fill it.

    `slot`: the time that the schedule names, however late the event was made. `time_zone`: the schedule's, such as
    Europe/Berlin; a handler that thinks in days means the days of this zone.
    """

    schedule: str
    slot: AwareDatetime
    time_zone: str


class ReportDue(Scheduled):
    """The report on registrations is due. It covers all that was registered before `slot`."""

    event_type: ClassVar[str] = "report_due"
    version: ClassVar[int] = 1


class StoredFile(BaseModel):
    """A file that waits in the report store, by reference: `path` is relative to the store, `size` in bytes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    content_type: str
    path: str
    size: int = Field(ge=0)
    sha256: str


class ReportReady(EventData):
    """A report was made, and its files are in the report store. `until` and `time_zone`: what its `report_due` says.

    `registrations`: how many it counts. `days`: on how many days, from the first registration to `until`.
    """

    event_type: ClassVar[str] = "report_ready"
    version: ClassVar[int] = 1

    until: AwareDatetime
    time_zone: str
    days: int
    registrations: int
    files: tuple[StoredFile, ...]


EVENTS: tuple[type[EventData], ...] = (UserRegistered, ReportDue, ReportReady)
"""The newest version of each event type. `predecessor` leads to the older versions. Keep an older version's model as
long as a database holds events of that version."""

PUBLISHERS: Mapping[str, tuple[type[EventData], ...]] = {
    "users-api": (UserRegistered, ReportDue),
    "auditor": (ReportReady,),
}
"""Which service publishes which event. A service sends the newest version alone, so it is deployed last."""
