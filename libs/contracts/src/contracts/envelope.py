"""The envelope every event travels in: CloudEvents 1.0, JSON format.

`type` says what happened and decides who hears of it; `dataschema` says which version of `data` this is
and decides which model reads it. So a new version reaches every subscription of the type, and a consumer
too old for it can say so instead of never hearing of it.

Reading ignores attributes it doesn't know (a producer may be newer); writing is exact.
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict


class EventData(BaseModel):
    """What happened, as facts. A subclass sets `event_type` and `version`; a published one never changes.

    A change is a new model with the next `version`. It names the model before it as its `predecessor`, and its
    `upcast` makes the new version from the old one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_type: ClassVar[str]
    version: ClassVar[int]
    predecessor: "ClassVar[type[EventData] | None]" = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Refuse a model whose predecessor isn't the version before it."""
        older = cls.predecessor
        if older and (older.event_type, older.version + 1) != (cls.event_type, cls.version):
            raise TypeError(f"{older.schema_uri()} isn't the version before {cls.schema_uri()}")

    @classmethod
    def upcast(cls, old: Any) -> Self:  # a subclass takes its own predecessor
        """Make this version from `old`, an instance of `predecessor`."""
        raise NotImplementedError(f"{cls.__name__} has a predecessor and no upcast")

    @classmethod
    def schema_uri(cls) -> str:
        """Name this version of the data, for the envelope's `dataschema`."""
        return f"urn:herald:{cls.event_type}:{cls.version}"


DataT = TypeVar("DataT", bound=EventData, covariant=True)


class Event(BaseModel, Generic[DataT]):
    """One thing that happened. `id` is its identity everywhere: consumers are idempotent by it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    subject: str
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    correlationid: str
    data: DataT

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
        """Wrap `data` in a new envelope with an id of its own. `time`: when it happened (aware); now, if None."""
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

    Events of one moment lie side by side in every index that has them, of every service. Random ids would make each
    write touch pages of its own, ever more as history grows.
    """
    random = secrets.randbits(74)
    milliseconds = int(now.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & (1 << 62) - 1)
