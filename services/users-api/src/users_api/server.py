"""uvicorn, as Herald runs it: it sleeps until there is something to do."""

import asyncio
import socket
from contextlib import suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from messaging.process import collector
from users_api.connections import protocol
from users_api.guard import Guard

LOOK_SECONDS = 1.0
"""How often it looks at the clock: for the answers' Date, and for clients that are too slow."""


def make_server(app: ASGIApp, guard: Guard, host: str = "127.0.0.1", port: int = 8000) -> "Server":
    """Make the server of an application."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol(guard),
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing here asks who the client is
        ws="none",
        timeout_graceful_shutdown=10,
    )
    return Server(config, guard)


class Server(uvicorn.Server):
    """Waits for a signal. uvicorn's own looks ten times a second whether there was one."""

    def __init__(self, config: uvicorn.Config, guard: Guard) -> None:
        super().__init__(config)
        self._guard = guard
        self._told: asyncio.Event | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with everything loaded."""
        await super().startup(sockets)
        collector.freeze()

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        while not await self.on_tick(0):
            self._guard.sweep(self._loop.time())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), LOOK_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, at once."""
        super().handle_exit(sig, frame)
        if self._told is not None:
            self._loop.call_soon_threadsafe(self._told.set)
