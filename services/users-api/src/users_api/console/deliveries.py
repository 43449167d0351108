"""Deliveries: search by a filter that is in the URL, page by page."""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from messaging.publishing.bulk import ACTIONS
from messaging.publishing.operations import EXISTING
from messaging.publishing.searching import NEWEST
from messaging.publishing.states import STATES
from users_api import operating
from users_api.console.asked import Asked, read_filter
from users_api.console.forms import pages
from users_api.console.rendering import page as answer
from users_api.console.said import SAID, said
from users_api.console.subjects import addresses
from users_api.database import in_time
from users_api.dependencies import Database
from users_api.operating_schemas import DeliveryPage
from users_api.pool import Pool

PAGE = 50
_CURSOR = "cursor"
_NO_CURSOR = "not a cursor of these pages. Begin with the first page."

router = pages()


@router.get("/deliveries")
async def show_deliveries(request: Request, pool: Database) -> HTMLResponse:
    """Show one page of the deliveries that a filter finds."""
    asked = read_filter(request.query_params.multi_items(), _CURSOR, SAID)
    page = await _page(pool, asked, request.query_params.get(_CURSOR))
    shown: dict[str, Any] = {"subscriptions": EXISTING, "states": STATES, "actions": ACTIONS, "said": said(request)}
    emails = await in_time(addresses(pool, {delivery.subject for delivery in page.deliveries})) if page else {}
    is_first = _CURSOR not in request.query_params
    status = 422 if page is None else 200
    return answer(
        request, "deliveries.html.j2", status, asked=asked, page=page, emails=emails, is_first=is_first, **shown
    )


async def _page(pool: Pool, asked: Asked, cursor: str | None) -> DeliveryPage | None:
    """Return the page; None, with a fault recorded, if the request is wrong."""
    after = NEWEST if cursor is None else operating.read_place(cursor)
    if after is None:
        asked.faults[_CURSOR] = _NO_CURSOR
    if after is None or asked.faults:
        return None
    return await in_time(operating.search(pool, asked.filter, PAGE, after))
