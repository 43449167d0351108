"""The HTTP interface of users and their deliveries. Reads are a statement each; registrations share theirs."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import JSONResponse

from messaging.publishing import operations
from users_api import queries
from users_api.database import in_time
from users_api.dependencies import Database, Registering
from users_api.fields import EmailAddress
from users_api.problems import ANYWHERE, Problem, documented, problem_response
from users_api.registration import Registration, subject
from users_api.schemas import Deliveries, Moved, NewUser, Registered, User, UserPage
from users_api.strict_route import StrictRoute

router = APIRouter(tags=["users"], route_class=StrictRoute, responses=documented(*ANYWHERE))

_VISIBLE = r"^[\x21-\x7e]+$"
"""ASCII, without white space; not empty."""

UserId = Annotated[int, Path(ge=1, le=2**63 - 1)]
SubscriptionName = Annotated[str, Path(pattern=r"^[\w.-]+$", max_length=100)]
Filter = Annotated[
    EmailAddress | None,
    Query(description="Only the user with this address, compared as registering does. (A + in it is %2B in a URL.)"),
]

_ABOUT_KEY = "For one day, a repeated request with the same key gets the first response and creates no second user."
_ABOUT_ID = "Appears in every service's log lines about the event; generated if omitted."
IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", max_length=255, pattern=_VISIBLE, description=_ABOUT_KEY)
]
CorrelationId = Annotated[
    str | None, Header(alias="X-Correlation-ID", max_length=128, pattern=_VISIBLE, description=_ABOUT_ID)
]


@router.post("/users", status_code=201, response_model=Registered, responses=documented(400, 409, 413, 415))
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


@router.get("/users")
async def list_users(
    pool: Database, limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: str | None = None, email: Filter = None
) -> UserPage:
    """List users, oldest first; or find the one with an address."""
    after = 0 if cursor is None else queries.read_cursor(cursor)
    if after is None:
        raise Problem(422, "cursor: not a cursor of this API. Use `next` of the previous page, unchanged.")
    return await in_time(queries.page(pool, after, limit, email))


@router.get("/users/{user_id}", responses=documented(404))
async def get_user(user_id: UserId, pool: Database) -> User:
    """Show one user."""
    user = await in_time(queries.user(pool, user_id))
    if user is None:
        raise Problem(404, f"There is no user {user_id}.")
    return user


@router.get("/users/{user_id}/deliveries", responses=documented(404))
async def get_deliveries(user_id: UserId, pool: Database) -> Deliveries:
    """Show what became of every effect of a user's events: state, attempts, times, last error."""
    await get_user(user_id, pool)
    return await in_time(queries.deliveries_about(pool, subject(user_id)))


@router.post("/deliveries/{event_id}/{subscription}/retry", status_code=202, responses=documented(404, 409, 413, 415))
async def retry_delivery(event_id: UUID, subscription: SubscriptionName, pool: Database) -> Moved:
    """Make a delivery due again that is failed, uncertain or cancelled, with all its attempts."""
    state, retried = await in_time(queries.retry(pool, event_id, subscription))
    if state is None:
        raise Problem(404, f"There is no delivery of event {event_id} to {subscription}.")
    if not retried:
        raise Problem(409, operations.not_retried(subscription, state))
    return Moved(event_id=event_id, subscription=subscription, state="pending")


@router.post("/deliveries/{event_id}/{subscription}/cancel", status_code=202, responses=documented(404, 409, 413, 415))
async def cancel_delivery(event_id: UUID, subscription: SubscriptionName, pool: Database) -> Moved:
    """Cancel a delivery that is pending or retrying: its effect won't happen, unless it is retried."""
    state, cancelled = await in_time(queries.cancel(pool, event_id, subscription))
    if state is None:
        raise Problem(404, f"There is no delivery of event {event_id} to {subscription}.")
    if not cancelled:
        raise Problem(409, operations.not_cancelled(state))
    return Moved(event_id=event_id, subscription=subscription, state="cancelled")
