"""What a person does to one delivery: retry, confirm or cancel it. The page that the form was on comes back."""

from fastapi import Request
from fastapi.responses import RedirectResponse

from users_api import queries
from users_api.console import PATH
from users_api.console.forms import pages, read_form
from users_api.console.rendering import operator, own, see
from users_api.console.said import saying
from users_api.database import in_time
from users_api.dependencies import Database
from users_api.parameters import EventId, SubscriptionName

router = pages()


@router.post("/deliveries/{event_id}/{subscription}/retry")
async def retry(
    request: Request, event_id: EventId, subscription: SubscriptionName, pool: Database
) -> RedirectResponse:
    """Make a delivery due again."""
    back = await _back(request, event_id)
    await in_time(queries.retry(pool, event_id, subscription, operator(request)))
    return see(request, saying(back, "retry"))


@router.post("/deliveries/{event_id}/{subscription}/confirm")
async def confirm(
    request: Request, event_id: EventId, subscription: SubscriptionName, pool: Database
) -> RedirectResponse:
    """Confirm that an uncertain effect has happened."""
    back = await _back(request, event_id)
    await in_time(queries.confirm(pool, event_id, subscription, operator(request)))
    return see(request, saying(back, "confirm"))


@router.post("/deliveries/{event_id}/{subscription}/cancel")
async def cancel(
    request: Request, event_id: EventId, subscription: SubscriptionName, pool: Database
) -> RedirectResponse:
    """Cancel a delivery that waits."""
    back = await _back(request, event_id)
    await in_time(queries.cancel(pool, event_id, subscription, operator(request)))
    return see(request, saying(back, "cancel"))


async def _back(request: Request, event_id: EventId) -> str:
    """Return the page that a form was on, if it was one of ours; otherwise that of the event."""
    return own((await read_form(request)).get("next"), f"{PATH}/events/{event_id}")
