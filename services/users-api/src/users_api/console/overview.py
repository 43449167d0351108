"""The overview: is all well, what waits and what failed, the last hour, who is at work."""

from http import HTTPStatus
from typing import Any

from fastapi.responses import Response
from starlette.requests import Request

from messaging.publishing.states import UNFINISHED
from messaging.publishing.switches import enabled
from users_api.console import plots
from users_api.console.faults import away
from users_api.console.findings import deliveries, findings, in_flight
from users_api.console.forms import pages
from users_api.console.mail import MAIL, mail
from users_api.console.rendering import page
from users_api.database import DatabaseUnavailable
from users_api.status.page import status_of
from users_api.status.schemas import Status

router = pages()


@router.get("")
async def show_overview(request: Request) -> Response:
    """Show the page. If PostgreSQL is away, it says so, and shows what Redis knows."""
    try:
        status = await _read(request)
    except DatabaseUnavailable as error:
        redis = await request.app.state.transport.status()
        status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return page(request, "overview_away.html.j2", status_code, redis=redis, in_flight=in_flight, detail=away(error))
    return page(request, "overview.html.j2", **_values(status))


@router.get("/overview")
async def show_part(request: Request) -> Response:
    """Show what changes on the page."""
    return page(request, "_overview.html.j2", **_values(await _read(request)))


async def _read(request: Request) -> Status:
    state = request.app.state
    return await status_of(state.pool, state.transport)


def _values(status: Status) -> dict[str, Any]:
    """Return what the template needs."""
    busy = [each for each in status.subscriptions if each.minutes]
    return {
        "shown": status,
        "on": {effect.name for effect in enabled()},
        "findings": findings(status),
        "deliveries": deliveries,
        "unfinished": UNFINISHED,
        "states": ("pending", "queued", "running", "retrying", "failed", "uncertain"),
        "hours": [
            (each, plots.throughput(each.minutes, status.time), plots.lags(each.minutes, status.time)) for each in busy
        ],
        "took": plots.took,
        "mail": [(each, mail(each, status.time)) for each in status.subscriptions if each.name in MAIL],
        "redis": status.redis,
        "in_flight": in_flight,
        "is_bounded": any(not count.exact for each in status.subscriptions for count in each.states.values()),
    }
