"""The web application, put together."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from messaging.process import collector
from messaging.process.revisions import revisions
from users_api import MIGRATIONS, health, operating_routes, pages, routes
from users_api.error_handlers import HANDLERS
from users_api.live import routes as live
from users_api.live.hub import Live
from users_api.middleware import AroundRequests
from users_api.openapi import ABOUT, TAGS, DescribedApi, name_of
from users_api.pool import Pool
from users_api.registrar import Registrar
from users_api.status import routes as status
from users_api.status.transport import Transport


def create_app(database_url: str, mailbox_url: str | None = None, redis_url: str | None = None) -> FastAPI:
    """Make the application. It opens its pool when it starts, and doesn't wait for PostgreSQL.

    `mailbox_url`: the page that shows the sent mails, in development. `redis_url`: what `GET /status` looks into.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Pool(database_url) as app.state.pool:
            app.state.registrar = Registrar(app.state.pool)
            app.state.live = Live(app.state.pool)
            collector.freeze()
            yield
            await app.state.registrar.close()
            app.state.transport.close()

    app = DescribedApi(
        title="Herald users-api",
        description=ABOUT,
        openapi_tags=TAGS,
        generate_unique_id_function=name_of,
        version="0.1.0",
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        docs_url=None,  # see `pages`
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_telemetry(),
    )
    app.state.transport = Transport(redis_url)
    app.state.revisions = revisions(MIGRATIONS)
    app.include_router(routes.router)
    app.include_router(operating_routes.router)
    app.include_router(health.router)
    app.include_router(status.router)
    app.include_router(live.router)
    app.include_router(pages.router)
    pages.mount_assets(app, mailbox_url)
    app.add_middleware(AroundRequests)
    return app


def _telemetry() -> TelemetryConfig | None:
    """Leave FastAPI's OpenTelemetry on if environment variables configure it.

    Otherwise FastAPI looks for a provider on each request: 6 % of its time for a registration.
    """
    if any(name.startswith(("OTEL_", "FASTAPI_OTEL_")) for name in os.environ):
        return None
    return {"tracing": False, "metrics": False, "logs": False}
