"""What a form of the console sends."""

from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import Request

from users_api.console import PATH
from users_api.problems import Problem
from users_api.strict_route import MAX_BODY

MAX_FIELDS = 200


class Form:
    """The fields of a form, each a text without white space around it. A field that isn't there is empty."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def get(self, name: str) -> str:
        """Return a field's first value."""
        return (self._fields.get(name) or [""])[0].strip()

    def all(self, name: str) -> list[str]:
        """Return every value of a field that isn't empty."""
        return [value.strip() for value in self._fields.get(name, ()) if value.strip()]

    def items(self) -> list[tuple[str, str]]:
        """Return every pair of name and value."""
        return [(name, value) for name, values in self._fields.items() for value in values]


async def read_form(request: Request) -> Form:
    """Read a form.

    Raises:
        Problem: 413 or 422, it is too large, or isn't a form.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Problem(413, f"The form is larger than {MAX_BODY} bytes.")
    try:
        return Form(parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError:
        raise Problem(422, "The form can't be read.") from None


def pages() -> APIRouter:
    """Make a router for pages of the console."""
    return APIRouter(prefix=PATH, include_in_schema=False)
