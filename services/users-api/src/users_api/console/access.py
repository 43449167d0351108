"""Who may look at the console, and act in it.

- With a token (CONSOLE_TOKEN): a request that sends it as `Authorization: Bearer`, or has the cookie that the login
  gives.
- Without one: this machine alone. A request that came through a proxy isn't from this machine, whatever its address. A
  name other than localhost isn't this machine either: a page from elsewhere can give its own name this address (DNS
  rebinding), and would read the console as its own.

A form of another site changes nothing: what isn't GET must come from a page of the console (by `Sec-Fetch-Site` or
`Origin`).
"""

import hmac
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from users_api.console import PATH
from users_api.console.rendering import page, see
from users_api.origin import is_from_here

log: structlog.stdlib.BoundLogger = structlog.get_logger("users-api")

COOKIE = "herald_console"
LASTS_SECONDS = 12 * 3600

OPEN = (f"{PATH}/login", f"{PATH}/assets/")
"""Paths that need no token: the login, and what it looks like."""

_PROXIED = {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
"""Headers of proxies, beside `X-Forwarded-…`."""

_OWN_NAME = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]*)?", re.IGNORECASE)
"""A whole `Host`: no part of one is trusted, and nothing else has to be parsed."""

_SAFE = {"GET", "HEAD"}


class Access:
    """Decides by a token, or without one by where a request comes from."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    @property
    def has_token(self) -> bool:
        """Whether a token is set."""
        return self._token is not None

    def allows(self, request: Request) -> bool:
        """Return whether a request may see the console."""
        if self._token is None:
            return _is_local(request)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return self._is_own(request.cookies.get(COOKIE, ""))

    def is_token(self, given: str) -> bool:
        """Return whether this is the token."""
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def cookie(self) -> str:
        """Return the value of a cookie that lasts LASTS_SECONDS. It doesn't contain the token."""
        return self._signed(str(int(time.time()) + LASTS_SECONDS))

    def _is_own(self, cookie: str) -> bool:
        until, _, _ = cookie.partition(".")
        if not (until.isascii() and until.isdigit()) or len(until) > 12:  # noqa: PLR2004  # digits of a time
            return False
        return hmac.compare_digest(cookie.encode(), self._signed(until).encode()) and int(until) > time.time()

    def _signed(self, until: str) -> str:
        key = (self._token or "").encode()
        return f"{until}.{hmac.new(key, f'herald console until {until}'.encode(), 'sha256').hexdigest()}"


class Gate:
    """Lets through what Access allows; sends people to the login, and everything else away."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        request = Request(scope)
        if request.method not in _SAFE and not is_from_here(request.headers):
            answer: Response = page(request, "refused.html.j2", HTTPStatus.FORBIDDEN, reason="elsewhere")
        elif scope["path"].startswith(OPEN) or self._access.allows(request):
            with _logged(scope["path"]):
                await self._app(scope, receive, send)
            return
        elif not self._access.has_token:
            answer = page(request, "refused.html.j2", HTTPStatus.FORBIDDEN, reason="remote")
        elif request.method in _SAFE and "hx-request" not in request.headers:
            answer = see(request, f"{PATH}/login?next={quote(_target(scope), safe='')}")
        else:
            answer = page(request, "refused.html.j2", HTTPStatus.UNAUTHORIZED, reason="login")
        await answer(scope, receive, send)


@contextmanager
def _logged(path: str) -> Iterator[None]:
    """Log an exception that was answered with an error page."""
    try:
        yield
    except Exception:
        log.exception("request.crashed", path=path)


def _is_local(request: Request) -> bool:
    if any(name in _PROXIED or name.startswith("x-forwarded") for name in request.headers):
        return False
    is_own = _OWN_NAME.fullmatch(request.headers.get("host", "")) is not None
    return is_own and request.client is not None and _is_loopback(request.client.host)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def _target(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    path: str = scope["path"]
    return f"{path}?{query}" if query else path
