"""What goes out over HTTP about deliveries that were searched for, and about operations on them."""

from datetime import datetime
from typing import Annotated, Any, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema

from messaging.publishing.bulk import Action, OperationState, RecordedAction
from messaging.publishing.searching import Total
from users_api.delivery_filter import DeliveryFilter
from users_api.parameters import VISIBLE
from users_api.schemas import Delivery, DeliveryHistory


class FoundDelivery(Delivery):
    """A delivery, with what its event is about, such as `users/7`."""

    subject: str


class DeliveryPage(BaseModel):
    """Deliveries, newest event first.

    `total`: how many there are; null if the request has a cursor. `next`: the cursor of the page after this, null at
    the end. `searched_to`: a search looks at a bounded number of deliveries. If it has stopped before the page was
    full, it has looked at all events made since this time, and `next` goes on from there. Otherwise null.
    """

    deliveries: list[FoundDelivery]
    total: Total | None
    next: str | None
    searched_to: datetime | None


class EventDetails(BaseModel):
    """An event as it was recorded, with its deliveries and their history. `envelope`: what consumers receive."""

    id: UUID
    type: str
    subject: str
    recorded_at: datetime
    available_at: datetime
    envelope: dict[str, Any]
    deliveries: list[DeliveryHistory]


class NewOperation(BaseModel):
    """What to do with all deliveries that a filter finds. `by`: who wants it; otherwise the header X-Operator says so.

    `dry_run`: only count what is eligible.
    """

    model_config = ConfigDict(extra="forbid")

    action: Action
    filter: DeliveryFilter
    dry_run: StrictBool
    by: Annotated[str, Field(min_length=1, max_length=100, pattern=VISIBLE)] | None = None


class Operation(BaseModel):
    """What an operator did, or has a relay do.

    `filter`: what is meant, restricted to what the action can move. `eligible`: how many that were at the request.
    `moved`: how many have been moved so far. `detail`: why it failed, or who cancelled it. `run` made an extra event of
    the `schedule`: the filter names the event, and what was moved are its deliveries.

    Other actions and filters than can be requested may have been recorded, by another version.
    """

    id: int
    action: Annotated[str, WithJsonSchema({"type": "string", "enum": list(get_args(RecordedAction))})]
    schedule: str | None
    filter: DeliveryFilter
    requested_by: str | None
    requested_at: datetime
    state: OperationState
    eligible: Total
    moved: int
    progress_at: datetime
    finished_at: datetime | None
    detail: str | None


class Requested(BaseModel):
    """The answer to a request for an operation. `filter`: what it means. `operation`: null after a dry run."""

    filter: DeliveryFilter
    eligible: Total
    operation: Operation | None


class OperationPage(BaseModel):
    """Operations, newest first; `next` is the cursor of the page after this, null at the end."""

    operations: list[Operation]
    next: str | None


class StoppedOperation(BaseModel):
    """An operation that was cancelled, and its new state."""

    id: int
    state: OperationState
