"""The HTTP interface of users and their deliveries. Reads are a statement each; registrations share theirs."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse

from messaging.publishing import operations
from users_api import queries
from users_api.database import Database, in_time
from users_api.fields import EmailAddress
from users_api.headers import OptionalHeader, parameters
from users_api.idempotency import KeysInHand
from users_api.problems import Problem, documented, problem_response
from users_api.registration import Answer, Registrar, Registration, subject
from users_api.schemas import Deliveries, Moved, NewUser, Registered, User, UserPage
from users_api.strict_route import StrictRoute

router = APIRouter(tags=["users"], route_class=StrictRoute, responses=documented(408, 431, 503))

UserId = Annotated[int, Path(ge=1, le=2**63 - 1)]
SubscriptionName = Annotated[str, Path(pattern=r"^[\w.-]+$", max_length=100)]
Filter = Annotated[
    EmailAddress | None,
    Query(description="Only the user with this address, compared as registering does. (A + in it is %2B in a URL.)"),
]

IDEMPOTENCY_KEY = OptionalHeader(
    "Idempotency-Key",
    255,
    "For one day, a repeated request with the same key gets the first response and creates no second user.",
)
CORRELATION_ID = OptionalHeader(
    "X-Correlation-ID",
    128,
    "Appears in every service's log lines about the event; generated if omitted.",
)


@dataclass(frozen=True, slots=True)
class State:
    """What requests of one process share when they write."""

    registrations: Registrar
    keys: KeysInHand


@router.post(
    "/users",
    status_code=201,
    response_model=Registered,
    responses=documented(400, 409, 413, 415, 422),
    openapi_extra=parameters(IDEMPOTENCY_KEY, CORRELATION_ID),
)
async def create_user(new: NewUser, request: Request) -> JSONResponse:
    """Register a user. The welcome email and the audit entry follow, whatever happens meanwhile."""
    writing: State = request.app.state.writing
    key = IDEMPOTENCY_KEY.read(request)
    correlation_id = CORRELATION_ID.read(request) or uuid4().hex
    with writing.keys.hold(key):
        return _respond(await writing.registrations.submit(Registration(new, correlation_id, key)), correlation_id)


@router.get("/users", responses=documented(422))
async def list_users(
    pool: Database, limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: str | None = None, email: Filter = None
) -> UserPage:
    """List users, oldest first; or find the one with an address."""
    after = 0 if cursor is None else queries.read_cursor(cursor)
    if after is None:
        raise Problem(422, "cursor: not a cursor of this API. Use `next` of the previous page, unchanged.")
    return await in_time(queries.page(pool, after, limit, email))


@router.get("/users/{user_id}", responses=documented(404, 422))
async def get_user(user_id: UserId, pool: Database) -> User:
    """Show one user."""
    user = await in_time(queries.user(pool, user_id))
    if user is None:
        raise Problem(404, f"There is no user {user_id}.")
    return user


@router.get("/users/{user_id}/deliveries", responses=documented(404, 422))
async def get_deliveries(user_id: UserId, pool: Database) -> Deliveries:
    """Show what became of every effect of a user's events: state, attempts, times, last error."""
    await get_user(user_id, pool)
    return await in_time(queries.deliveries_about(pool, subject(user_id)))


@router.post(
    "/deliveries/{event_id}/{subscription}/retry", status_code=202, responses=documented(404, 409, 413, 415, 422)
)
async def retry_delivery(event_id: UUID, subscription: SubscriptionName, pool: Database) -> Moved:
    """Make a delivery due again that is failed, uncertain or cancelled, with all its attempts."""
    state, retried = await in_time(queries.retry(pool, event_id, subscription))
    if state is None:
        raise Problem(404, f"There is no delivery of event {event_id} to {subscription}.")
    if not retried:
        raise Problem(409, operations.not_retried(subscription, state))
    return Moved(event_id=event_id, subscription=subscription, state="pending")


@router.post(
    "/deliveries/{event_id}/{subscription}/cancel", status_code=202, responses=documented(404, 409, 413, 415, 422)
)
async def cancel_delivery(event_id: UUID, subscription: SubscriptionName, pool: Database) -> Moved:
    """Cancel a delivery that is pending or retrying: its effect won't happen, unless it is retried."""
    state, cancelled = await in_time(queries.cancel(pool, event_id, subscription))
    if state is None:
        raise Problem(404, f"There is no delivery of event {event_id} to {subscription}.")
    if not cancelled:
        raise Problem(409, operations.not_cancelled(state))
    return Moved(event_id=event_id, subscription=subscription, state="cancelled")


def _respond(answer: Answer, correlation_id: str) -> JSONResponse:
    if answer.status != HTTPStatus.CREATED:
        return problem_response(answer.status, answer.body)
    headers = {"Location": f"/users/{answer.body['id']}", CORRELATION_ID.name: correlation_id}
    return JSONResponse(answer.body, HTTPStatus.CREATED, headers)
