"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from messaging.publishing.attempts import AttemptOutcome
from messaging.publishing.states import DeliveryState
from users_api.fields import EmailAddress, FullName

_COMPLETE = ConfigDict(json_schema_serialization_defaults_required=True)
"""A field with a default is always in an answer."""


class NewUser(BaseModel):
    """A registration as a client sends it. Other fields are ignored."""

    email: EmailAddress
    full_name: FullName


class User(BaseModel):
    """A registered user. Plain strings: what was validated once is not validated again."""

    id: int
    email: str
    full_name: str
    created_at: datetime


class Registered(BaseModel):
    """The answer to a registration."""

    model_config = _COMPLETE

    id: int
    email: str
    full_name: str
    message: str = "User created. Background tasks scheduled."


class UserPage(BaseModel):
    """Users, oldest first; `next` is the cursor of the page after this, null at the end."""

    users: list[User]
    next: str | None


class Delivery(BaseModel):
    """One effect of one event. The states: docs/deliveries.md.

    `reference`: what the provider calls the effect. `confirmed_by`: the operator who said that the effect has happened,
    where no report of it came; otherwise null.
    """

    event_id: UUID
    event_type: str
    subscription: str
    state: DeliveryState
    attempts: int
    crashes: int
    last_error: str | None
    reference: str | None
    confirmed_by: str | None
    created_at: datetime
    due_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class Attempt(BaseModel):
    """An attempt that didn't succeed.

    `generation`: how often an operator had retried or replayed the delivery before; `number`: which attempt of that
    generation. `outcome`: `retry` is a transient error, whether another attempt followed or not; `failed`, a permanent
    one; `uncertain`; `crashed`: its worker died; `lost`: Redis lost its message before an end was reported, so it
    doesn't count, and the next attempt has its number. `ended_at`: when the relay recorded that.
    """

    generation: int
    number: int
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime
    outcome: AttemptOutcome
    error: str | None


class DeliveryHistory(Delivery):
    """A delivery with its attempts that didn't succeed.

    `history`: the last ten of them, oldest first. `history_omitted`: how many older ones are no longer known.
    """

    history: list[Attempt]
    history_omitted: int


class Deliveries(BaseModel):
    """Every effect of every event about a user."""

    deliveries: list[DeliveryHistory]


class Moved(BaseModel):
    """A delivery that an operator has moved, and its new state."""

    event_id: UUID
    subscription: str
    state: DeliveryState


class Alive(BaseModel):
    """The process runs."""

    model_config = _COMPLETE

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Users can be registered and read; else the answer is a problem with the same `checks`."""

    model_config = _COMPLETE

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
