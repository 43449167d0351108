"""The console, put together."""

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.datastructures import State
from starlette.types import ASGIApp

from users_api.console import (
    actions,
    bulk,
    deliveries,
    files,
    groups,
    login,
    operations,
    overview,
    register,
    schedules,
    search,
    timeline,
    uncertain,
)
from users_api.console.access import Access, Gate
from users_api.console.faults import HANDLERS
from users_api.console.security import SecurityHeaders
from users_api.console.sharing import SharedParts

PAGES = (
    overview,
    register,
    schedules,
    search,
    groups,
    bulk,
    deliveries,
    timeline,
    actions,
    uncertain,
    operations,
    login,
    files,
)

_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""The application around this one reports each request."""


def make_console(state: State, token: str | None) -> ASGIApp:
    """Make the console. `state`: what the API opened, which pages use too."""
    app = FastAPI(openapi_url=None, redirect_slashes=False, exception_handlers=HANDLERS, telemetry=_OFF)
    app.state = state
    app.state.access = Access(token)
    for module in PAGES:
        app.include_router(module.router)
    return SecurityHeaders(Gate(SharedParts(app), app.state.access))
