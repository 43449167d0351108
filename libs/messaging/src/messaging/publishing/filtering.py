"""Which deliveries an operator means: a filter.

Ids are UUIDv7, so a time is a bound of ids (docs/decisions/0011). An older random id sorts as if it were of any time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, ValidationError

from messaging.publishing.states import DEAD, FINAL, TROUBLED, DeliveryState

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)

SKEW_MILLISECONDS = 60_000
"""The clock of an API and that of PostgreSQL differ by less."""


def in_utc(time: datetime) -> datetime:
    """Return a time in UTC; the first or the last time there is, where it has none: 0001-01-01T00:00:00+14:00."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if time.year == 1 else datetime.max.replace(tzinfo=UTC)


def _once(items: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
Several = Annotated[tuple[T, ...], AfterValidator(_once)]
"""What is repeated is meant once."""


class Filter(BaseModel):
    """Which deliveries are meant: those for which everything holds that is given.

    `states`: see `effective_states`. `error`: a part of the last error, in any case. `group`: see `error_groups`.
    `since`, `until`: when the event was made. `finished_since`, `finished_until`: when the delivery ended. What is
    pending, queued, running or retrying has not ended. Each `until` is exclusive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str | None = None
    event: UUID | None = None
    subscriptions: Several[str] | None = None
    states: Several[DeliveryState] | None = None
    error: str | None = None
    group: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    finished_since: Moment | None = None
    finished_until: Moment | None = None

    @property
    def is_by_end(self) -> bool:
        """Whether only deliveries are meant that ended at certain times."""
        return self.finished_since is not None or self.finished_until is not None

    @property
    def effective_states(self) -> tuple[DeliveryState, ...] | None:
        """The states that are meant; None means any.

        If none is named: with an error or a group, those of TROUBLED; with a time of the end, those that are final.
        """
        if self.states is None and (self.error is not None or self.group is not None):
            return self.troubled_states
        return FINAL if self.states is None and self.is_by_end else self.states

    @property
    def troubled_states(self) -> tuple[DeliveryState, ...]:
        """The states that are meant when failures are asked for."""
        return self.states or (DEAD if self.is_by_end else TROUBLED)


def recorded(described: Mapping[str, Any]) -> Filter:
    """Return a recorded filter, to be shown and never to be carried out: without what this version doesn't know."""
    try:
        return Filter.model_validate(described)
    except ValidationError as error:
        unknown = {fault["loc"][0] for fault in error.errors()}
        return Filter.model_validate({name: value for name, value in described.items() if name not in unknown})


def id_at(time: datetime) -> UUID:
    """Return the smallest id that an event of this time, to the millisecond, can have."""
    milliseconds = max(0, (time - _EPOCH) // timedelta(milliseconds=1))
    return UUID(int=milliseconds << 80)


def made_before(finished_until: datetime) -> UUID:
    """Return an id that is greater than that of each event of which a delivery ended before a time.

    An event is made before its deliveries end. By the clocks of two machines that may be SKEW_MILLISECONDS later.
    """
    return UUID(int=id_at(finished_until).int + (SKEW_MILLISECONDS << 80))


def time_of(event_id: UUID) -> datetime:
    """Return the time that an id begins with."""
    return _EPOCH + timedelta(milliseconds=min(event_id.int >> 80, _LATEST))
