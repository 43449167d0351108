"""The envelope in which every event travels: CloudEvents 1.0, JSON format.

`type` says what happened, and decides which subscriptions receive the event. `dataschema` says which version of `data`
this is, and decides which model reads it. So a new version reaches every subscription to the type, and a consumer that
is too old for the version receives the event and can report that.

Reading ignores unknown attributes, because a producer may be newer; writing is exact.
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class EventData(BaseModel):
    """What happened, as facts. A subclass sets `event_type` and `version`, and never changes once events are published.

    For a change, write a new model with the next `version`. Its `predecessor` is the model of the version before, and
    its `upcast` makes the new version from the old one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_type: ClassVar[str]
    version: ClassVar[int]
    predecessor: "ClassVar[type[EventData] | None]" = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Check that the predecessor is the version before.

        Raises:
            TypeError: it isn't.
        """
        older = cls.predecessor
        if older and (older.event_type, older.version + 1) != (cls.event_type, cls.version):
            raise TypeError(f"{older.schema_uri()} isn't the version before {cls.schema_uri()}")

    @classmethod
    def upcast(cls, old: Any) -> Self:  # in a subclass, `old` has the type of its predecessor
        """Make this version from `old`, an instance of `predecessor`."""
        raise NotImplementedError(f"{cls.__name__} has a predecessor and no upcast")

    @classmethod
    def schema_uri(cls) -> str:
        """Return the URI of this version of the data, for the envelope's `dataschema`."""
        return f"urn:herald:{cls.event_type}:{cls.version}"


DataT = TypeVar("DataT", bound=EventData, covariant=True)


class Event(BaseModel, Generic[DataT]):
    """One thing that happened, with attributes as CloudEvents names them. Consumers are idempotent by `id`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = Field("1.0", description="The version of CloudEvents.")
    id: UUID = Field(description="The identity of the event. An event that is delivered again has the same id.")
    source: str = Field(description="The service that published the event.")
    type: str = Field(description="What happened. It decides which subscriptions receive the event.")
    subject: str = Field(description="What the event is about, such as users/7.")
    time: AwareDatetime = Field(description="When it happened.")
    datacontenttype: Literal["application/json"] = Field("application/json", description="The format of `data`.")
    dataschema: str = Field(description="Which version of `data` this is.")
    correlationid: str = Field(description="The id that log lines of the request and of all its effects share.")
    data: DataT = Field(description="What happened, as facts: the fields of each event.")

    @classmethod
    def about(
        cls,
        data: DataT,  # type: ignore[misc]  # a constructor: covariance can't be misused
        *,
        source: str,
        subject: str,
        correlation_id: str,
        time: datetime | None = None,
    ) -> "Event[DataT]":
        """Wrap `data` in a new envelope with an id of its own.

        Args:
            data: what happened.
            source: the publishing service, such as users-api.
            subject: what the event is about, such as users/7.
            correlation_id: the id that log lines of the request and of all its effects share.
            time: when it happened, an aware datetime; now, if None.
        """
        now = datetime.now(UTC)
        return cls(
            id=_new_id(now),
            source=source,
            type=data.event_type,
            subject=subject,
            time=time or now,
            dataschema=data.schema_uri(),
            correlationid=correlation_id,
            data=data,
        )


def _new_id(now: datetime) -> UUID:
    """Make a UUIDv7 (RFC 9562): the time in milliseconds, then 74 random bits.

    So events of one moment are neighbours in every index on their ids, in every service. With random ids each write
    would touch pages of its own, and more of them as the history grows.
    """
    random = secrets.randbits(74)
    milliseconds = int(now.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & (1 << 62) - 1)
