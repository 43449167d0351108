"""Which deliveries an operator means: a filter.

Ids are UUIDv7, so a time is a bound of ids (docs/decisions/0011). An older random id sorts as if it were of any time.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from messaging.publishing.states import TROUBLED, DeliveryState

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


class Filter(BaseModel):
    """Which deliveries are meant: those for which everything holds that is given.

    `states`: with an error or a group, those of TROUBLED if none is named. `error`: a part of the last error, in any
    case. `group`: see `error_groups`. `since`, `until`: when the event was made, the latter exclusive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str | None = None
    event: UUID | None = None
    subscriptions: tuple[str, ...] | None = None
    states: tuple[DeliveryState, ...] | None = None
    error: str | None = None
    group: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @property
    def effective_states(self) -> tuple[DeliveryState, ...] | None:
        """The states that are meant; None means any."""
        by_error = self.error is not None or self.group is not None
        return TROUBLED if by_error and self.states is None else self.states


def id_at(time: datetime) -> UUID:
    """Return the smallest id that an event of this time, to the millisecond, can have."""
    milliseconds = max(0, (time - _EPOCH) // timedelta(milliseconds=1))
    return UUID(int=milliseconds << 80)


def time_of(event_id: UUID) -> datetime:
    """Return the time that an id begins with."""
    return _EPOCH + timedelta(milliseconds=min(event_id.int >> 80, _LATEST))
