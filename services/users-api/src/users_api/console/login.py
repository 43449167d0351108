"""The login, for a console that needs a token; and the name under which a person's operations are recorded."""

from fastapi.responses import Response
from starlette.requests import Request

from users_api.console import PATH
from users_api.console.access import COOKIE, LASTS_SECONDS, Access
from users_api.console.forms import pages, read_form
from users_api.console.rendering import OPERATOR, is_name, own, page, root, see

router = pages()


@router.get("/login")
async def show_login(request: Request) -> Response:
    """Ask for the token."""
    access: Access = request.app.state.access
    if not access.has_token:
        return see(request, PATH)
    return page(request, "login.html.j2", next=own(request.query_params.get("next", "")), wrong=False)


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Give a browser that has sent the token a cookie."""
    access: Access = request.app.state.access
    form = await read_form(request)
    following = own(form.get("next"))
    if not access.is_token(form.get("token")):
        return page(request, "login.html.j2", 403, next=following, wrong=True)
    answer = see(request, following)
    _remember(request, answer, COOKIE, access.cookie())
    _name(request, answer, form.get("name"))
    return answer


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """Take the cookie away."""
    answer = see(request, f"{PATH}/login")
    answer.delete_cookie(COOKIE, path=root(request) + PATH)
    return answer


@router.post("/name")
async def set_name(request: Request) -> Response:
    """Remember in the browser under which name operations are recorded."""
    form = await read_form(request)
    answer = see(request, own(form.get("next")))
    _name(request, answer, form.get("name"))
    return answer


def _name(request: Request, answer: Response, name: str) -> None:
    if is_name(name):
        _remember(request, answer, OPERATOR, name)


def _remember(request: Request, answer: Response, name: str, value: str) -> None:
    is_secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    path = root(request) + PATH
    answer.set_cookie(name, value, LASTS_SECONDS, path=path, secure=is_secure, httponly=True, samesite="strict")
