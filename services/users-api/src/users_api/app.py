"""The web application, put together."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from messaging.process.revisions import revisions
from users_api import health, pages, problems, routes
from users_api.database import make_pool
from users_api.idempotency import KeysInHand
from users_api.limits import LimitBody
from users_api.methods import AnswerHead
from users_api.metrics import CountRequests
from users_api.registration import registrar

MIGRATIONS = ("messaging.publishing.migrations", "users_api.migrations")


def create_app(database_url: str, mailbox_url: str | None = None) -> FastAPI:
    """Make the application; it opens its pool when it starts, and doesn't wait for PostgreSQL.

    `mailbox_url`: where people can read the mails, in development.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with make_pool(database_url) as app.state.pool:
            registrations = registrar(app.state.pool)
            app.state.writing = routes.State(registrations, KeysInHand())
            yield
            await registrations.close()

    app = FastAPI(
        docs_url=None,  # see `pages`
        redoc_url=None,
        title="Herald users-api",
        version="0.1.0",
        lifespan=lifespan,
        telemetry=_telemetry(),
        redirect_slashes=False,
    )
    app.state.revisions = revisions(MIGRATIONS)
    # As they are, and before FastAPI's own: what `include_router` includes is looked up twice for each request. (So
    # `app.dependency_overrides` is nothing to them. Our tests have a real PostgreSQL instead.)
    app.router.routes[:0] = [*routes.router.routes, *health.router.routes, *pages.router.routes]
    pages.install(app, mailbox_url)
    problems.install(app)
    app.add_middleware(LimitBody)
    app.add_middleware(AnswerHead)
    app.add_middleware(CountRequests)
    return app


def _telemetry() -> TelemetryConfig | None:
    """Leave OpenTelemetry to FastAPI where variables set it up; else it would look for that at each request."""
    if any(name.startswith("OTEL_") for name in os.environ):
        return None
    return {"tracing": False, "metrics": False, "logs": False}
