"""The search box: an address, a user's id or an event's id leads to its page; other text is searched in errors."""

from urllib.parse import quote
from uuid import UUID

from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from users_api import queries
from users_api.console import PATH
from users_api.console.forms import pages
from users_api.console.rendering import see
from users_api.database import in_time
from users_api.dependencies import Database
from users_api.fields import EmailAddress
from users_api.filter_fields import MAX_ID

router = pages()

_ADDRESS: TypeAdapter[str] = TypeAdapter(EmailAddress)


@router.get("/search")
async def search(request: Request, pool: Database) -> Response:
    """Lead to what was searched for."""
    text = request.query_params.get("q", "").strip()
    number = text.removeprefix("users/").removeprefix("#")
    if number.isascii() and number.isdigit() and 0 < int(number) <= MAX_ID:
        return see(request, f"{PATH}/users/{int(number)}")
    try:
        return see(request, f"{PATH}/events/{UUID(text)}")
    except ValueError:
        pass
    if "@" in text:
        try:
            address = _ADDRESS.validate_python(text)
        except ValidationError:
            return see(request, f"{PATH}/deliveries?email={quote(text, safe='')}")
        found = await in_time(queries.page(pool, 0, 1, address))
        if found.users:
            return see(request, f"{PATH}/users/{found.users[0].id}")
        return see(request, f"{PATH}/deliveries?email={quote(address, safe='')}")
    return see(request, f"{PATH}/deliveries?error={quote(text, safe='')}" if text else f"{PATH}/deliveries")
