"""Which methods a path has: HEAD wherever there is GET, and all of them in the header Allow."""

from fastapi import Request
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class AnswerHead:
    """ASGI middleware: HEAD is answered as GET is. The server sends no body: it knows what was asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def allowed(request: Request) -> str:
    """Return the methods of a request's path, as the header Allow names them."""
    methods = [method for method in _METHODS if _is_routed(request, method)]
    return ", ".join(["GET", "HEAD", *methods[1:]] if "GET" in methods else methods)


def _is_routed(request: Request, method: str) -> bool:
    """Tell whether a route takes this path with this method. (What is mounted is files, and has moved `root_path`.)"""
    scope = request.scope
    asked = {**scope, "method": method, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}
    routes = (each for each in request.app.routes if method == "GET" or not isinstance(each, Mount))
    return any(each.matches(asked)[0] is Match.FULL for each in routes)
