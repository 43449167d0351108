"""The filter on deliveries as HTTP has it: in queries, in the body of a bulk operation, and in what is answered."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from contracts import AUDIT_LOG
from messaging.publishing.filtering import Filter, Moment, recorded
from messaging.publishing.states import STATES
from users_api.database import query
from users_api.examples import EVENT_ID
from users_api.fields import ADDRESS, EmailAddress, email_key
from users_api.filter_fields import (
    MAX_ERROR,
    MAX_GROUP,
    MAX_ID,
    MAX_LISTED,
    NAME,
    TEXT,
    ErrorText,
    GroupText,
    Names,
    States,
    UserNumber,
)
from users_api.parameters import optional
from users_api.pool import Pool
from users_api.subjects import USER_WITH, subject, user_of


def _written(value: object) -> object:
    """Refuse numbers, which pydantic would read as seconds or milliseconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and "T" in value.upper()):
        return value
    raise PydanticCustomError("time", "must be a time such as 2026-11-23T16:27:01Z")


Time = Annotated[Moment, BeforeValidator(_written)]
_ALIKE = {"error", "group", "since", "until", "finished_since", "finished_until"}
"""Fields that HTTP and messaging have alike."""


class DeliveryFilter(BaseModel):
    """Which deliveries are meant: those for which everything holds that is given. Without a field, all."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"subscription": ["audit_log"]}]})

    email: Annotated[EmailAddress | None, Field(description="Of the user with this address.")] = None
    user: Annotated[UserNumber | None, Field(description="Of the user with this id.")] = None
    event: Annotated[UUID | None, Field(description="Of this event.")] = None
    subscription: Annotated[Names | None, Field(description="Of these subscriptions.")] = None
    state: Annotated[States | None, Field(description="In these states.")] = None
    error: Annotated[ErrorText | None, Field(description="A part of the last error, in any case.")] = None
    group: Annotated[GroupText | None, Field(description="A group of errors, from `GET /deliveries/groups`.")] = None
    since: Annotated[Time | None, Field(description="Of events made then or later.")] = None
    until: Annotated[Time | None, Field(description="Of events made earlier.")] = None
    finished_since: Annotated[Time | None, Field(description="That ended then or later.")] = None
    finished_until: Annotated[Time | None, Field(description="That ended earlier.")] = None

    async def resolve(self, pool: Pool) -> Filter | None:
        """Return the filter as messaging has it; None, if it means a user who doesn't exist."""
        user = self.user
        if self.email is not None:
            rows = await query(pool, USER_WITH, {"key": email_key(self.email)})
            found = rows[0]["id"] if rows else None
            if found is None or user not in (None, found):
                return None
            user = found
        return Filter(
            subject=None if user is None else subject(user),
            event=self.event,
            subscriptions=None if self.subscription is None else tuple(self.subscription),
            states=None if self.state is None else tuple(self.state),
            **self.model_dump(include=_ALIKE),
        )


def shown(described: dict[str, Any]) -> DeliveryFilter:
    """Return a recorded filter as a client would write it, also where a client couldn't write it now."""
    meant = recorded(described)
    return DeliveryFilter.model_construct(
        user=user_of(meant.subject or ""),
        event=meant.event,
        subscription=None if meant.subscriptions is None else list(meant.subscriptions),
        state=None if meant.states is None else list(meant.states),
        **meant.model_dump(include=_ALIKE),
    )


def _listed(items: dict[str, Any], most: int, *examples: str) -> Any:
    return optional({"type": "array", "items": items, "minItems": 1, "maxItems": most}, list(examples))


_NAMES = {"type": "string", "pattern": NAME, "maxLength": 100}
_STATES = {"type": "string", "enum": list(STATES)}
_TIME = {"type": "string", "format": "date-time"}
_ERROR = {"type": "string", "minLength": 1, "maxLength": MAX_ERROR, "pattern": TEXT}
_GROUP = {"type": "string", "maxLength": MAX_GROUP, "pattern": TEXT}
_ABOUT_MANY = "May be repeated."


async def _from_query(  # noqa: PLR0913, PLR0917  # one for each field
    email: Annotated[EmailAddress | None, Query(), optional(ADDRESS)] = None,
    user: Annotated[UserNumber | None, Query(), optional({"type": "integer", "minimum": 1, "maximum": MAX_ID})] = None,
    event: Annotated[UUID | None, Query(), optional({"type": "string", "format": "uuid"}, EVENT_ID)] = None,
    subscription: Annotated[
        Names | None, Query(description=_ABOUT_MANY), _listed(_NAMES, MAX_LISTED, AUDIT_LOG.name)
    ] = None,
    state: Annotated[States | None, Query(description=_ABOUT_MANY), _listed(_STATES, len(STATES))] = None,
    error: Annotated[ErrorText | None, Query(), optional(_ERROR)] = None,
    group: Annotated[GroupText | None, Query(), optional(_GROUP)] = None,
    since: Annotated[Time | None, Query(description="Of events made then or later."), optional(_TIME)] = None,
    until: Annotated[Time | None, Query(description="Of events made earlier."), optional(_TIME)] = None,
    finished_since: Annotated[Time | None, Query(description="That ended then or later."), optional(_TIME)] = None,
    finished_until: Annotated[Time | None, Query(description="That ended earlier."), optional(_TIME)] = None,
) -> DeliveryFilter:
    return DeliveryFilter(
        email=email,
        user=user,
        event=event,
        subscription=subscription,
        state=state,
        error=error,
        group=group,
        since=since,
        until=until,
        finished_since=finished_since,
        finished_until=finished_until,
    )


QueriedFilter = Annotated[DeliveryFilter, Depends(_from_query)]
"""The filter in the query of a request."""
