"""Headers that a request may carry, read and checked by hand.

FastAPI's own header parameters would do the same, for an eighth of what it costs to handle a registration, even when
there are none. They are in the OpenAPI document all the same (`parameters`).
"""

import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError

_TEXT = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class OptionalHeader:
    """A header of visible ASCII characters, at most `limit` of them."""

    name: str
    limit: int
    description: str

    def read(self, request: Request) -> str | None:
        """Return its value, None if it isn't there.

        Raises:
            RequestValidationError: it is empty, too long, or holds something else.
        """
        value = request.headers.get(self.name)
        if value is not None and not (len(value) <= self.limit and _TEXT.fullmatch(value)):
            reason = f"must have 1 to {self.limit} visible ASCII characters, and no white space"
            raise RequestValidationError([{"type": "header", "loc": ("header", self.name), "msg": reason}])
        return value


def parameters(*headers: OptionalHeader) -> dict[str, Any]:
    """Describe them for OpenAPI, as a route's `openapi_extra`."""
    return {"parameters": [_parameter(each) for each in headers]}


def _parameter(header: OptionalHeader) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": header.limit, "pattern": f"^{_TEXT.pattern}$"}
    return {"name": header.name, "in": "header", "required": False, "description": header.description, "schema": schema}
