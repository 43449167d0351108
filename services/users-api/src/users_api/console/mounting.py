"""Serves the console under `/console`, and imports it when it is first requested."""

from fastapi import FastAPI
from starlette.datastructures import State
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from users_api.console import PATH


def mount_console(app: FastAPI, token: str | None = None) -> None:
    """Add the console to an application. `token`: what people must know who look at it from another machine."""
    console = _Console(app.state, token)
    app.state.console = True
    app.router.routes += [Route(path, console, include_in_schema=False) for path in (PATH, PATH + "/{path:path}")]


class _Console:
    """The console, made at the first request."""

    def __init__(self, state: State, token: str | None) -> None:
        self._state = state
        self._token = token
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if self._app is None:
            from users_api.console.app import make_console

            self._app = make_console(self._state, self._token)
        await self._app(scope, receive, send)
