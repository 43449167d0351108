"""`GET /status`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from users_api import responses
from users_api.dependencies import Database
from users_api.documented import ANYWHERE, UNAVAILABLE, documented
from users_api.status.page import status_of
from users_api.status.schemas import Status
from users_api.status.transport import Transport
from users_api.strict_route import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute, responses=documented(*ANYWHERE, UNAVAILABLE))


async def get_transport(request: Request) -> Transport:
    """Return the process's access to Redis."""
    transport: Transport = request.app.state.transport
    return transport


@router.get("/status", summary="How is everything doing?", responses=responses.STATUS)
async def show_status(pool: Database, transport: Annotated[Transport, Depends(get_transport)]) -> Status:
    """Show, for each effect, what is unfinished, failed or uncertain, and the last hour; who is at work; the servers.

    It is answered within 200 ms, however many deliveries there are: counts that aren't `exact` are lower bounds. If
    Redis is unreachable, `redis.fault` says so, and the rest is there.
    """
    return await status_of(pool, transport)
