"""The schedules: what makes events by itself, when it did and when it will; and an extra event of one now."""

from fastapi.responses import Response
from starlette.requests import Request

from contracts import SCHEDULES
from messaging.publishing.schedules import LAST, RUN, TIME, running
from messaging.publishing.switches import effects_of
from users_api.console import PATH
from users_api.console.forms import pages
from users_api.console.rendering import operator, page, see
from users_api.database import in_time, query
from users_api.dependencies import Database
from users_api.problems import Problem
from users_api.scheduled import NAMES, NoEffect, extra, listed, named

router = pages()

UPCOMING = 3


@router.get("/schedules")
async def show_schedules(request: Request, pool: Database) -> Response:
    """List the schedules."""
    rows = await in_time(query(pool, LAST, {"schedules": NAMES}))
    effects = {schedule.name: [effect.name for effect in effects_of(schedule.event)] for schedule in SCHEDULES}
    return page(request, "schedules.html.j2", schedules=list(listed(rows, UPCOMING)), effects=effects)


@router.post("/schedules/{name}/run")
async def run(request: Request, name: str, pool: Database) -> Response:
    """Make an extra event of a schedule now, and show it."""
    schedule = named(name)
    if schedule is None:
        raise Problem(404, f"There is no schedule {name}.")
    [row] = await in_time(query(pool, TIME, {}))
    try:
        event, _ = extra(schedule, row["now"])
    except NoEffect as refusal:
        raise Problem(409, str(refusal)) from None
    await in_time(query(pool, RUN, running(schedule, event, operator(request))))
    return see(request, f"{PATH}/events/{event.id}")
