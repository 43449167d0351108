"""uvicorn, as Herald runs it."""

import uvicorn
from starlette.types import ASGIApp

from users_api.connections import protocol
from users_api.guard import Guard


def make_server(app: ASGIApp, guard: Guard, host: str = "127.0.0.1", port: int = 8000) -> uvicorn.Server:
    """Make the server of an application. Each second it lets the guard look for clients that are too slow."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=protocol(guard),
            log_config=None,
            access_log=False,
            proxy_headers=False,  # the client's address isn't used
            ws="none",
            timeout_graceful_shutdown=10,
            callback_notify=guard.sweep,
            timeout_notify=0,  # that is, at every look at the clock: once a second
        )
    )
