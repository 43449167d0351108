"""Templates: how a page, or a part of one, becomes an answer.

Every value is escaped, and a name that a template doesn't have is an error. A template gets `request`, `root` (the path
that the API is served under), `nav`, `path` (of the request), `status`, `operator` and `parts` (macros)
besides what its page gives it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from urllib.parse import unquote

from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request

from users_api.console import PATH, words
from users_api.console.files import asset
from users_api.parameters import VISIBLE

NAV = (
    ("Overview", PATH),
    ("Failures", f"{PATH}/failures"),
    ("Deliveries", f"{PATH}/deliveries"),
    ("Uncertain", f"{PATH}/uncertain"),
    ("Schedules", f"{PATH}/schedules"),
    ("Operations", f"{PATH}/operations"),
    ("Register", f"{PATH}/register"),
)


OPERATOR = "herald_operator"
"""A cookie: the name that a person has entered."""

MAX_NAME = 100


def operator(request: Request) -> str:
    """Return under which name operations are recorded."""
    name = request.cookies.get(OPERATOR, "")
    return name if is_name(name) else "console"


def is_name(name: str) -> bool:
    """Return whether operations can be recorded under this name."""
    return len(name) <= MAX_NAME and re.fullmatch(VISIBLE, name) is not None


@cache
def environment() -> Environment:
    """Return the templates."""
    made = Environment(
        loader=PackageLoader("users_api", "console/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= words.FILTERS
    made.globals |= {"nav": NAV, "asset": asset, "now": lambda: datetime.now(UTC)}
    made.globals["parts"] = made.get_template("parts.html.j2").module
    return made


def page(
    request: Request,
    template: str,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> HTMLResponse:
    """Render a template: a whole page, or a part that htmx asks for."""
    context = {
        "request": request,
        "root": root(request),
        "path": request.scope["path"],
        "operator": operator(request),
        "status": int(status),
    }
    text = environment().get_template(template).render(context | values)
    return HTMLResponse(text, status, headers=headers)


def see(request: Request, path: str, status: int = HTTPStatus.SEE_OTHER) -> RedirectResponse:
    """Send a browser to another page of ours, with GET."""
    return RedirectResponse(root(request) + path, status)


def own(target: str, otherwise: str = PATH) -> str:
    """Return a path, if it is one of the console's pages; otherwise another one."""
    path = unquote(target.partition("?")[0])
    is_own = path == PATH or path.startswith(f"{PATH}/")
    return target if is_own and ".." not in path and "\\" not in path and target.isprintable() else otherwise


def root(request: Request) -> str:
    """Return the path that the API is served under, without a slash at its end."""
    path: str = request.scope.get("root_path", "")
    return path.rstrip("/")


def is_part(request: Request) -> bool:
    """Return whether htmx asks for a part of a page."""
    return "hx-request" in request.headers
