"""What goes in and out over HTTP."""

import unicodedata
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, EmailStr, Field
from pydantic_core import PydanticCustomError

_REFUSED = {"Cc": "control characters", "Cs": "surrogates", "Zl": "line separators", "Zp": "paragraph separators"}

MAX_NAME = 200


def _clean_name(value: str) -> str:
    name = value.strip()
    for character in name:
        if refused := _REFUSED.get(unicodedata.category(character)):
            raise PydanticCustomError("characters", "must not contain {refused}", {"refused": refused})
    if not 1 <= len(name) <= MAX_NAME:
        raise PydanticCustomError("length", "must have 1 to 200 characters, not counting white space around it")
    return name


FullName = Annotated[str, AfterValidator(_clean_name)]


class NewUser(BaseModel):
    """A registration as a client sends it."""

    email: EmailStr = Field(examples=["maya@example.com"])
    full_name: FullName = Field(examples=["Maya Chen"], json_schema_extra={"minLength": 1, "maxLength": MAX_NAME})


class User(BaseModel):
    """A registered user. Not an EmailStr here: what was validated once is not validated again."""

    id: int
    email: str
    full_name: str
    created_at: datetime


class Registered(BaseModel):
    """The answer to a registration."""

    id: int
    email: str
    full_name: str
    message: str = "User created. Background tasks scheduled."


class UserPage(BaseModel):
    """Users, oldest first; `next` is the cursor of the page after this, null at the end."""

    users: list[User]
    next: str | None


class Delivery(BaseModel):
    """One effect of one event. The states: docs/deliveries.md."""

    event_id: UUID
    event_type: str
    subscription: str
    state: str
    attempts: int
    crashes: int
    last_error: str | None
    created_at: datetime
    due_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class Deliveries(BaseModel):
    """Every effect of every event about a user."""

    deliveries: list[Delivery]


class Retried(BaseModel):
    """A delivery that an operator has made due again."""

    event_id: UUID
    subscription: str
    state: str = "pending"
