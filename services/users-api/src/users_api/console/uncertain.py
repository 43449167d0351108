"""Uncertain: the effects of which it is unknown whether they happened. A person decides.

The evidence is the last error: at which stage the last attempt ended, and with which reply. To confirm an effect is to
say that it has happened (docs/decisions/0021).
"""

from fastapi import Request
from fastapi.responses import HTMLResponse

from contracts import SUBSCRIPTIONS
from messaging.publishing.searching import NEWEST
from users_api import operating
from users_api.console.forms import pages
from users_api.console.rendering import page as answer
from users_api.console.said import said
from users_api.console.subjects import addresses
from users_api.database import in_time
from users_api.delivery_filter import DeliveryFilter
from users_api.dependencies import Database
from users_api.problems import Problem

PAGE = 25

SERVICES = {subscription.name: subscription.service for subscription in SUBSCRIPTIONS}

router = pages()


@router.get("/uncertain")
async def show_uncertain(request: Request, pool: Database, cursor: str | None = None) -> HTMLResponse:
    """Show what waits for a decision, newest event first."""
    after = NEWEST if cursor is None else operating.read_place(cursor)
    if after is None:
        raise Problem(422, "This isn't a cursor of these pages. Begin with the first page.")
    page = await in_time(operating.search(pool, DeliveryFilter(state=["uncertain"]), PAGE, after))
    emails = await in_time(addresses(pool, {delivery.subject for delivery in page.deliveries}))
    return answer(
        request, "uncertain.html.j2", page=page, emails=emails, services=SERVICES, said=said(request), cursor=cursor
    )
