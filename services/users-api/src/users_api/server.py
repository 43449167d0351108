"""uvicorn, as Herald runs it."""

import socket

import uvicorn
from fastapi import FastAPI

from users_api.connections import protocol
from users_api.guard import Guard


class Server(uvicorn.Server):
    """A server that ends the streams of `GET /live` before it waits for open requests: they don't end by themselves."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in order."""
        self._app.state.live.close()
        await super().shutdown(sockets)


def make_server(app: FastAPI, guard: Guard, host: str = "127.0.0.1", port: int = 8000) -> uvicorn.Server:
    """Make the server of an application. Each second it lets the guard look for clients that are too slow."""
    return Server(
        app,
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
        ),
    )
