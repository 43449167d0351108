"""The HTTP interface of users and their deliveries. Reads are a statement each; registrations share theirs."""

from http import HTTPStatus
from uuid import uuid4

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from users_api import queries, responses
from users_api.database import in_time
from users_api.dependencies import Database, Registering
from users_api.documented import ANYWHERE, UNAVAILABLE, documented
from users_api.origin import FROM_HERE
from users_api.parameters import (
    CorrelationId,
    Cursor,
    EventId,
    Filter,
    IdempotencyKey,
    Limit,
    OperatorName,
    SubscriptionName,
    UserId,
)
from users_api.problems import Problem, problem_response
from users_api.registration import Registration
from users_api.schemas import Deliveries, Moved, NewUser, Registered, User, UserPage
from users_api.strict_route import StrictRoute
from users_api.subjects import subject

router = APIRouter(route_class=StrictRoute, responses=documented(*ANYWHERE, UNAVAILABLE))


@router.post(
    "/users",
    tags=["users"],
    summary="Register a user",
    status_code=201,
    response_model=Registered,
    responses=responses.CREATE_USER,
)
async def create_user(
    new: NewUser, registrar: Registering, key: IdempotencyKey = None, correlation_id: CorrelationId = None
) -> JSONResponse:
    """Register a user. The welcome email and the audit entry follow, whatever happens meanwhile."""
    correlation_id = correlation_id or uuid4().hex
    answer = await registrar.register(Registration(new, correlation_id, key))
    if answer.status != HTTPStatus.CREATED:
        return problem_response(answer.status, answer.body)
    headers = {"Location": f"/users/{answer.body['id']}", "X-Correlation-ID": correlation_id}
    return JSONResponse(answer.body, HTTPStatus.CREATED, headers)


@router.get("/users", tags=["users"], summary="List users", responses=responses.LIST_USERS)
async def list_users(pool: Database, limit: Limit = 50, cursor: Cursor = None, email: Filter = None) -> UserPage:
    """List users, oldest first; or find the one with an address."""
    after = 0 if cursor is None else queries.read_cursor(cursor)
    if after is None:
        raise Problem(422, "cursor: not a cursor of this API. Use `next` of the previous page, unchanged.")
    return await in_time(queries.page(pool, after, limit, email))


@router.get("/users/{user_id}", tags=["users"], summary="Show a user", responses=responses.GET_USER)
async def get_user(user_id: UserId, pool: Database) -> User:
    """Show one user."""
    user = await in_time(queries.user(pool, user_id))
    if user is None:
        raise Problem(404, f"There is no user {user_id}.")
    return user


@router.get(
    "/users/{user_id}/deliveries",
    tags=["deliveries"],
    summary="Show a user's deliveries",
    responses=responses.GET_DELIVERIES,
)
async def get_deliveries(user_id: UserId, pool: Database) -> Deliveries:
    """Show what became of every effect of a user's events: state, attempts, times, last error."""
    await get_user(user_id, pool)
    return await in_time(queries.deliveries_about(pool, subject(user_id)))


@router.post(
    "/deliveries/{event_id}/{subscription}/retry",
    tags=["deliveries"],
    summary="Retry a delivery",
    status_code=202,
    responses=responses.RETRY_DELIVERY,
    dependencies=[FROM_HERE],
)
async def retry_delivery(
    event_id: EventId, subscription: SubscriptionName, pool: Database, operator: OperatorName = None
) -> Moved:
    """Make a delivery due again that is failed, uncertain or cancelled, with all its attempts."""
    await in_time(queries.retry(pool, event_id, subscription, operator))
    return Moved(event_id=event_id, subscription=subscription, state="pending")


@router.post(
    "/deliveries/{event_id}/{subscription}/cancel",
    tags=["deliveries"],
    summary="Cancel a delivery",
    status_code=202,
    responses=responses.CANCEL_DELIVERY,
    dependencies=[FROM_HERE],
)
async def cancel_delivery(
    event_id: EventId, subscription: SubscriptionName, pool: Database, operator: OperatorName = None
) -> Moved:
    """Cancel a delivery that is pending or retrying: its effect won't happen, unless it is retried."""
    await in_time(queries.cancel(pool, event_id, subscription, operator))
    return Moved(event_id=event_id, subscription=subscription, state="cancelled")


@router.post(
    "/deliveries/{event_id}/{subscription}/confirm",
    tags=["deliveries"],
    summary="Confirm a delivery",
    status_code=202,
    responses=responses.CONFIRM_DELIVERY,
    dependencies=[FROM_HERE],
)
async def confirm_delivery(
    event_id: EventId, subscription: SubscriptionName, pool: Database, operator: OperatorName = None
) -> Moved:
    """Confirm that an uncertain effect has happened: the delivery succeeded, and the effect is never caused again."""
    await in_time(queries.confirm(pool, event_id, subscription, operator))
    return Moved(event_id=event_id, subscription=subscription, state="succeeded")
