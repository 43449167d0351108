"""`GET /live`."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import WithJsonSchema

from users_api import responses
from users_api.documented import ANYWHERE, UNAVAILABLE, documented
from users_api.live.hub import Live
from users_api.live.viewer import Filter, Viewer
from users_api.middleware import IS_HEAD
from users_api.problems import Problem
from users_api.strict_route import StrictRoute
from users_api.subjects import subject

RETRY_MS = 2_000
"""A browser that has lost its stream comes back after this time."""

LARGEST = 2**63 - 1

_FULL = "Too many are looking on. Try again later, or read GET /status."

router = APIRouter(tags=["deliveries"], route_class=StrictRoute, responses=documented(*ANYWHERE, UNAVAILABLE))

UserFilter = Annotated[
    int | None,
    Query(ge=1, le=LARGEST, description="Only deliveries of this user's events."),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": LARGEST}),
]
EventFilter = Annotated[
    UUID | None,
    Query(description="Only deliveries of this event."),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
LastId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=64, description="The `id` of the last message that has been received."),
    WithJsonSchema({"type": "string", "maxLength": 64}),
]


async def admit(
    request: Request, user: UserFilter = None, event: EventFilter = None, last_id: LastId = None
) -> AsyncIterator[Viewer]:
    """Admit a viewer for as long as its stream is open."""
    live: Live = request.app.state.live
    if live.is_full:
        raise Problem(503, _FULL, {"Retry-After": "2"})
    viewer = live.join(Filter(event, subject(user) if user else None), last_id)
    if IS_HEAD in request.scope:
        viewer.end()
    try:
        yield viewer
    finally:
        live.leave(viewer)


@router.get(
    "/live",
    summary="See what changes",
    response_class=EventSourceResponse,
    responses=responses.LIVE,
)
async def show_live(viewer: Annotated[Viewer, Depends(admit)]) -> AsyncIterator[ServerSentEvent]:
    """Send what changes as server-sent events, until the client leaves or the server stops.

    | event | data |
    |---|---|
    | `delivery` | a delivery that has changed, as in `GET /users/{user_id}/deliveries`, and its event's `subject` |
    | `status` | how many deliveries each subscription has in each state, as in `GET /status`, when that changes |
    | `missed` | there were more changes than are shown, or than the client has read: read the lists again |
    | `reload` | a client that came back (`Last-Event-ID`) can't be sent what it missed: read the lists again |
    | `unavailable` | PostgreSQL is unavailable; the stream goes on when it is back |

    With a filter there is no `status`, and the stream begins with the deliveries as they are. A stream occupies one of
    the connections of the process for as long as it is open.
    """
    yield ServerSentEvent(retry=RETRY_MS)
    async for message in viewer.stream():
        yield message
