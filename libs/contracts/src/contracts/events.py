"""Every event that Herald publishes, one model for each version."""

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.envelope import EventData


class UserRegistered(EventData):
    """A user registered, and the registration is committed."""

    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 1

    user_id: int = Field(description="The user's id in users-api.")
    email: str = Field(description="The user's address, normalised, in Unicode.")
    full_name: str = Field(description="The user's whole name, as the user wrote it.")
    registered_at: AwareDatetime = Field(description="When users-api accepted the registration.")


class Scheduled(EventData):
    """An event that a schedule makes: one for each slot. A subclass adds no field, because nothing would fill it."""

    schedule: str = Field(description="The schedule's name.")
    slot: AwareDatetime = Field(description="The time that the schedule names, however late the event was made.")
    time_zone: str = Field(description="The schedule's time zone. Days in a report are days of this time zone.")


class ReportDue(Scheduled):
    """The report on registrations is due. It covers all that was registered before `slot`."""

    event_type: ClassVar[str] = "report_due"
    version: ClassVar[int] = 1


class StoredFile(BaseModel):
    """A file that waits in the report store, by reference."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(description="The file's name, as its reader sees it.")
    content_type: str = Field(description="Its media type, such as text/csv.")
    path: str = Field(description="Where the file is, relative to the report store.")
    size: int = Field(ge=0, description="Its size in bytes.")
    sha256: str = Field(description="The SHA-256 of its content, in hexadecimal.")


class ReportReady(EventData):
    """A report was made, and its files are in the report store."""

    event_type: ClassVar[str] = "report_ready"
    version: ClassVar[int] = 1

    until: AwareDatetime = Field(
        description="The report covers what was registered before this time: the slot of its `report_due`."
    )
    time_zone: str = Field(description="The time zone of its `report_due`.")
    days: int = Field(description="How many days the report covers, from the first registration to `until`.")
    registrations: int = Field(description="How many registrations it counts.")
    files: tuple[StoredFile, ...] = Field(description="The report, as files.")


class EffectConfirmed(EventData):
    """An operator has confirmed that an uncertain effect happened, so it must never be caused again."""

    event_type: ClassVar[str] = "effect_confirmed"
    version: ClassVar[int] = 1

    event_id: UUID = Field(description="The event whose effect is meant.")
    subscription: str = Field(description="The effect, by its subscription's name.")
    confirmed_by: str = Field(description="Who confirmed it.")


EVENTS: tuple[type[EventData], ...] = (UserRegistered, ReportDue, ReportReady, EffectConfirmed)
"""The newest version of each event type. `predecessor` leads to the older versions. Keep an older version's model as
long as a database holds events of that version."""

PUBLISHERS: Mapping[str, tuple[type[EventData], ...]] = {
    "users-api": (UserRegistered, ReportDue, EffectConfirmed),
    "auditor": (ReportReady, EffectConfirmed),
}
"""Which service publishes which event. A service sends the newest version alone, so it is deployed last."""
