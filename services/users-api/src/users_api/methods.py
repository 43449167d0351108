"""Which methods a path has, as the header Allow names them: HEAD wherever there is GET."""

from fastapi import Request
from starlette.routing import Match, Mount

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


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
