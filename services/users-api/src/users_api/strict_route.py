"""Query parameters that a route doesn't know are refused: a filter with a slip in its name must not list everyone."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

_SHOWN = 50
"""Characters of a parameter's name that a refusal repeats."""


class StrictRoute(APIRoute):
    """A route that takes no query parameters but its own, each once. For `APIRouter(route_class=StrictRoute)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                self._check([name for name, _ in request.query_params.multi_items()])
            return await handle(request)

        return handle_strictly

    def _check(self, names: list[str]) -> None:
        known = list(_parameters(self.dependant))
        takes = f"takes {', '.join(known)}" if known else "takes none"
        faults = [(name, f"unknown: this path {takes}") for name in names if name not in known]
        faults += [(name, "given more than once") for name in known if names.count(name) > 1]
        if faults:
            raise RequestValidationError(
                [{"type": "query", "loc": ("query", name[:_SHOWN]), "msg": message} for name, message in faults]
            )


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from _parameters(each)
