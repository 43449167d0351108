"""What a route refuses before FastAPI reads the request.

- Query parameters that it doesn't know: a filter with a misspelt name must not list all users.
- A body that is compressed, or larger than 64 KiB. It is never held in memory.
"""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from users_api.problems import Problem

MAX_BODY = 65_536

_SHOWN = 50
"""Characters of a parameter's name that a refusal repeats."""

_CODINGS = ("content-encoding", "transfer-encoding")
_PLAIN = {"", "identity", "chunked"}


class StrictRoute(APIRoute):
    """A route that takes no query parameters but its own, each once unless it is a list.

    For `APIRouter(route_class=StrictRoute)`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                self._refuse_unknown([name for name, _ in request.query_params.multi_items()])
            _refuse_compressed(request)
            return await handle(LimitedRequest(request.scope, request.receive))

        return handle_strictly

    def _refuse_unknown(self, names: list[str]) -> None:
        own = dict(_parameters(self.dependant))
        takes = f"takes {', '.join(own)}" if own else "takes none"
        faults = [(name, f"unknown: this path {takes}") for name in names if name not in own]
        faults += [(name, "given more than once") for name, many in own.items() if not many and names.count(name) > 1]
        if faults:
            raise RequestValidationError(
                [{"type": "query", "loc": ("query", name[:_SHOWN]), "msg": message} for name, message in faults]
            )


class LimitedRequest(Request):
    """A request with a body of at most MAX_BODY bytes."""

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            HTTPException: 413, it is larger. (FastAPI would make a 400 of any other exception here.)
        """
        if not hasattr(self, "_body"):
            body = b""
            async for chunk in self.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise HTTPException(413, f"The body is larger than {MAX_BODY} bytes.")
            self._body = body
        return self._body


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the name of each query parameter, and whether it is a list."""
    yield from ((field.alias, "list" in str(field.field_info.annotation)) for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)


def _refuse_compressed(request: Request) -> None:
    codings = ",".join(request.headers[name] for name in _CODINGS if name in request.headers).lower().split(",")
    for coding in codings:
        if coding.strip() not in _PLAIN:
            detail = f"The body is encoded as {coding.strip()[:20]}. Send it as it is, without compression."
            raise Problem(415, detail, headers={"Accept-Encoding": "identity"})
