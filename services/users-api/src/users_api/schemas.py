"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from messaging.publishing.states import DeliveryState
from users_api.fields import EmailAddress, FullName

EVENT_ID = "019abc6f-7d1c-7c3e-9d0a-3f2b8c6d5e4f"
"""The event of the examples."""

_MAYA = {"email": "maya@example.com", "full_name": "Maya Chen"}
_USER = {"id": 1, **_MAYA, "created_at": "2026-11-23T16:27:01.123456Z"}
_DELIVERY = {
    "event_id": EVENT_ID,
    "event_type": "user_registered",
    "subscription": "audit_log",
    "state": "pending",
    "attempts": 0,
    "crashes": 0,
    "last_error": None,
    "reference": None,
    "created_at": "2026-11-23T16:27:01.123456Z",
    "due_at": "2026-11-23T16:27:01.123456Z",
    "queued_at": None,
    "started_at": None,
    "finished_at": None,
}


def _example(**example: Any) -> ConfigDict:
    """Describe a model by an example. (A field with a default is always in an answer.)"""
    return ConfigDict(json_schema_extra={"examples": [example]}, json_schema_serialization_defaults_required=True)


class NewUser(BaseModel):
    """A registration as a client sends it. Other fields are ignored."""

    model_config = _example(**_MAYA)

    email: EmailAddress
    full_name: FullName


class User(BaseModel):
    """A registered user. Plain strings: what was validated once is not validated again."""

    model_config = _example(**_USER)

    id: int
    email: str
    full_name: str
    created_at: datetime


class Registered(BaseModel):
    """The answer to a registration."""

    model_config = _example(id=1, **_MAYA, message="User created. Background tasks scheduled.")

    id: int
    email: str
    full_name: str
    message: str = "User created. Background tasks scheduled."


class UserPage(BaseModel):
    """Users, oldest first; `next` is the cursor of the page after this, null at the end."""

    model_config = _example(users=[_USER], next="MQ==")

    users: list[User]
    next: str | None


class Delivery(BaseModel):
    """One effect of one event. The states: docs/deliveries.md. `reference`: what the provider calls the effect."""

    model_config = _example(**_DELIVERY)

    event_id: UUID
    event_type: str
    subscription: str
    state: DeliveryState
    attempts: int
    crashes: int
    last_error: str | None
    reference: str | None
    created_at: datetime
    due_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class Deliveries(BaseModel):
    """Every effect of every event about a user."""

    model_config = _example(deliveries=[_DELIVERY])

    deliveries: list[Delivery]


class Moved(BaseModel):
    """A delivery that an operator has moved, and its new state."""

    model_config = _example(event_id=EVENT_ID, subscription="audit_log", state="pending")

    event_id: UUID
    subscription: str
    state: DeliveryState


class Alive(BaseModel):
    """The process runs."""

    model_config = _example(status="alive")

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Users can be registered and read; else the answer is a problem with the same `checks`."""

    model_config = _example(status="ready", checks={"postgresql": "ok", "migrations": "ok"})

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
