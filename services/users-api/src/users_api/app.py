"""The web application, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from messaging.process import collector
from messaging.process.revisions import revisions
from users_api import health, pages, routes
from users_api.error_handlers import HANDLERS
from users_api.middleware import AroundRequests
from users_api.pool import Pool
from users_api.registrar import Registrar

MIGRATIONS = ("messaging.publishing.migrations", "users_api.migrations")


def create_app(database_url: str, mailbox_url: str | None = None) -> FastAPI:
    """Make the application; it opens its pool when it starts, and doesn't wait for PostgreSQL.

    `mailbox_url`: where people can read the mails, in development.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Pool(database_url) as app.state.pool:
            app.state.registrar = Registrar(app.state.pool)
            collector.freeze()
            yield
            await app.state.registrar.close()

    app = FastAPI(
        title="Herald users-api",
        version="0.1.0",
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        docs_url=None,  # see `pages`
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.revisions = revisions(MIGRATIONS)
    app.include_router(routes.router)
    app.include_router(health.router)
    app.include_router(pages.router)
    pages.mount_assets(app, mailbox_url)
    app.add_middleware(AroundRequests)
    return app
