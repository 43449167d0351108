"""The HTTP interface for operators: search deliveries, group their errors, and move all that a filter finds."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from messaging.errors import MessagingError
from messaging.publishing import bulk
from messaging.publishing.searching import NEWEST, ErrorGroups
from users_api import operating, queries, responses
from users_api.database import in_time
from users_api.delivery_filter import QueriedFilter
from users_api.dependencies import Database
from users_api.documented import ANYWHERE, UNAVAILABLE, documented
from users_api.filter_fields import MAX_ID
from users_api.operating_schemas import (
    DeliveryPage,
    EventDetails,
    NewOperation,
    Operation,
    OperationPage,
    Requested,
    StoppedOperation,
)
from users_api.origin import FROM_HERE
from users_api.parameters import Cursor, EventId, Limit, OperatorName, optional
from users_api.problems import Problem
from users_api.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, responses=documented(*ANYWHERE, UNAVAILABLE))

NO_CURSOR = "cursor: not a cursor of this API. Use `next` of the previous page, unchanged."

_ABOUT_PLACE = "`next` of the previous page, unchanged."
PlaceCursor = Annotated[
    str | None,
    Query(description=_ABOUT_PLACE, max_length=600),
    optional({"type": "string", "format": "delivery_cursor", "minLength": 1, "maxLength": 600}),
]
OperationId = Annotated[int, Path(ge=1, le=MAX_ID, examples=[1])]


@router.get("/deliveries", tags=["deliveries"], summary="Search deliveries", responses=responses.SEARCH_DELIVERIES)
async def search_deliveries(
    pool: Database, wanted: QueriedFilter, limit: Limit = 50, cursor: PlaceCursor = None
) -> DeliveryPage:
    """Find deliveries, newest event first. With an error or a group, those that failed, are uncertain or retrying.

    `since` and `until` are about when the event was made, `finished_since` and `finished_until` about when the delivery
    ended: succeeded, failed, became uncertain or was cancelled. The others have no end yet.
    """
    after = NEWEST if cursor is None else operating.read_place(cursor)
    if after is None:
        raise Problem(422, NO_CURSOR)
    return await in_time(operating.search(pool, wanted, limit, after))


@router.get("/deliveries/groups", tags=["deliveries"], summary="Group failures", responses=responses.GROUP_DELIVERIES)
async def group_deliveries(pool: Database, wanted: QueriedFilter) -> ErrorGroups:
    """Count deliveries that failed, are uncertain or retrying, by subscription and error, details left aside.

    With `finished_since` or `finished_until`: those that failed or became uncertain in that time.
    """
    return await in_time(operating.groups(pool, wanted))


@router.post(
    "/deliveries/bulk",
    tags=["operations"],
    summary="Retry, cancel, replay or confirm many",
    status_code=202,
    responses=responses.MOVE_DELIVERIES,
    dependencies=[FROM_HERE],
)
async def move_deliveries(
    new: NewOperation, pool: Database, response: Response, operator: OperatorName = None
) -> Requested:
    """Have a relay move all deliveries that a filter finds; with `dry_run`, only count them.

    `retry` moves those that failed; uncertain and cancelled ones if `state` names them. `cancel` moves those that are
    pending or retrying. `confirm` is for those that are uncertain: their effects have happened. `replay` needs one
    `subscription` and `since`: it gives the subscription every event that it never had, or that failed for it; with the
    state `succeeded` also those that succeeded, if that can't do harm. What comes into the filter after the request is
    left alone.
    """
    filter_ = await in_time(new.filter.resolve(pool))
    if filter_ is None:
        raise Problem(404, "There is no such user.")
    try:
        meant = bulk.meant(new.action, filter_)
    except MessagingError as refusal:
        raise Problem(409, str(refusal)) from None
    response.status_code = HTTPStatus.OK if new.dry_run else HTTPStatus.ACCEPTED
    return await in_time(operating.request(pool, new.action, meant, new.by or operator, dry_run=new.dry_run))


@router.get("/operations", tags=["operations"], summary="List operations", responses=responses.LIST_OPERATIONS)
async def list_operations(pool: Database, limit: Limit = 50, cursor: Cursor = None) -> OperationPage:
    """List what operators did, newest first: on one delivery or on many, over HTTP or on the command line."""
    before = MAX_ID if cursor is None else queries.read_cursor(cursor)
    if before is None:
        raise Problem(422, NO_CURSOR)
    return await in_time(operating.recent(pool, limit, before))


@router.get(
    "/operations/{operation_id}", tags=["operations"], summary="Show an operation", responses=responses.SHOW_OPERATION
)
async def show_operation(operation_id: OperationId, pool: Database) -> Operation:
    """Show one operation, and how far it has come."""
    operation = await in_time(operating.operation(pool, operation_id))
    if operation is None:
        raise Problem(404, f"There is no operation {operation_id}.")
    return operation


@router.post(
    "/operations/{operation_id}/cancel",
    tags=["operations"],
    summary="Cancel an operation",
    status_code=202,
    responses=responses.CANCEL_OPERATION,
    dependencies=[FROM_HERE],
)
async def cancel_operation(
    operation_id: OperationId, pool: Database, operator: OperatorName = None
) -> StoppedOperation:
    """Cancel an operation that is running. What it has moved stays moved."""
    state, cancelled = await in_time(operating.stop(pool, operation_id, operator))
    if state is None:
        raise Problem(404, f"There is no operation {operation_id}.")
    if not cancelled:
        raise Problem(409, f"The operation is {state}. Only one that is running can be cancelled.")
    return StoppedOperation(id=operation_id, state="cancelled")


@router.get("/events/{event_id}", tags=["deliveries"], summary="Show an event", responses=responses.SHOW_EVENT)
async def show_event(event_id: EventId, pool: Database) -> EventDetails:
    """Show an event as consumers receive it, and every delivery with its times and references."""
    event = await in_time(operating.event(pool, event_id))
    if event is None:
        raise Problem(404, f"There is no event {event_id}.")
    return event
