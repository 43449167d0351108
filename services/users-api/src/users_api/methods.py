"""Which methods a path has, as the header Allow names them: HEAD wherever there is GET."""

from fastapi import Request
from starlette.routing import Match, Mount

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed(request: Request) -> str:
    """Return the methods of a request's path, as the header Allow names them."""
    methods = [method for method in _METHODS if _is_routed(request, method)]
    return ", ".join(["GET", "HEAD", *methods[1:]] if "GET" in methods else methods)


def _is_routed(request: Request, method: str) -> bool:
    """Does a route take this path with this method? (Only files are mounted; a mount has changed `root_path`.)"""
    scope = request.scope
    probe = {**scope, "method": method, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}
    routes = (route for route in request.app.routes if method == "GET" or not isinstance(route, Mount))
    return any(route.matches(probe)[0] is Match.FULL for route in routes)
