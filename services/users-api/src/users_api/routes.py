"""The HTTP interface of users and their deliveries. Reads are a statement each; registrations share theirs."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import JSONResponse
from pydantic import WithJsonSchema

from contracts import AUDIT_LOG
from messaging.publishing import operations
from users_api import queries, responses
from users_api.database import in_time
from users_api.dependencies import Database, Registering
from users_api.documented import ANYWHERE, UNAVAILABLE, documented
from users_api.examples import EVENT_ID
from users_api.fields import ADDRESS, EmailAddress
from users_api.problems import Problem, problem_response
from users_api.registration import Registration, subject
from users_api.schemas import Deliveries, Moved, NewUser, Registered, User, UserPage
from users_api.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, responses=documented(*ANYWHERE, UNAVAILABLE))

_VISIBLE = r"^[\x21-\x7e]+$"
"""ASCII, without white space; not empty."""

_ABOUT_KEY = (
    "For one day, a repeated request with the same key gets the first response and creates no second user. Each key is"
    " for one request: with another body it is refused."
)
_ABOUT_ID = "Appears in every service's log lines about the event; generated if omitted."
_ABOUT_FILTER = "Only the user with this address, compared as registering does. (A + in it is %2B in a URL.)"
_ABOUT_CURSOR = "`next` of the previous page, unchanged."


def _documented(schema: dict[str, Any], *examples: str) -> WithJsonSchema:
    """Describe an optional header or query parameter: it can be left out, but is never null."""
    return WithJsonSchema(schema | ({"examples": list(examples)} if examples else {}))


UserId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[1])]
EventId = Annotated[UUID, Path(examples=[EVENT_ID])]
SubscriptionName = Annotated[str, Path(pattern=r"^[\w.-]+$", max_length=100, examples=[AUDIT_LOG.name])]

Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[
    str | None,
    Query(description=_ABOUT_CURSOR),
    _documented({"type": "string", "format": "cursor", "minLength": 1}, "MA=="),
]
Filter = Annotated[EmailAddress | None, Query(description=_ABOUT_FILTER), _documented(ADDRESS)]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=255, pattern=_VISIBLE, description=_ABOUT_KEY),
    _documented(
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _VISIBLE},
        "8e03978e-40d5-43dd-bc93-6894a57f9324",
    ),
]
CorrelationId = Annotated[
    str | None,
    Header(alias="X-Correlation-ID", max_length=128, pattern=_VISIBLE, description=_ABOUT_ID),
    _documented({"type": "string", "minLength": 1, "maxLength": 128, "pattern": _VISIBLE}, "order-42"),
]


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
)
async def retry_delivery(event_id: EventId, subscription: SubscriptionName, pool: Database) -> Moved:
    """Make a delivery due again that is failed, uncertain or cancelled, with all its attempts."""
    state, retried = await in_time(queries.retry(pool, event_id, subscription))
    if state is None:
        raise Problem(404, f"There is no delivery of event {event_id} to {subscription}.")
    if not retried:
        raise Problem(409, operations.not_retried(subscription, state))
    return Moved(event_id=event_id, subscription=subscription, state="pending")


@router.post(
    "/deliveries/{event_id}/{subscription}/cancel",
    tags=["deliveries"],
    summary="Cancel a delivery",
    status_code=202,
    responses=responses.CANCEL_DELIVERY,
)
async def cancel_delivery(event_id: EventId, subscription: SubscriptionName, pool: Database) -> Moved:
    """Cancel a delivery that is pending or retrying: its effect won't happen, unless it is retried."""
    state, cancelled = await in_time(queries.cancel(pool, event_id, subscription))
    if state is None:
        raise Problem(404, f"There is no delivery of event {event_id} to {subscription}.")
    if not cancelled:
        raise Problem(409, operations.not_cancelled(state))
    return Moved(event_id=event_id, subscription=subscription, state="cancelled")
