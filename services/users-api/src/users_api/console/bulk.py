"""Retry, cancel, confirm or replay all deliveries that a filter finds: first what would be moved, then a confirmation.

The form that confirms holds the filter that was counted, with its times written out, so that "since an hour ago"
doesn't mean something else by then.
"""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from messaging.errors import MessagingError
from messaging.publishing import bulk
from messaging.publishing.operations import EXISTING
from users_api import operating
from users_api.console import PATH
from users_api.console.asked import Asked, pairs_of, read_filter
from users_api.console.forms import pages, read_form
from users_api.console.rendering import operator, page, see
from users_api.database import in_time
from users_api.dependencies import Database
from users_api.operating_schemas import Requested
from users_api.pool import Pool
from users_api.problems import Problem

router = pages()

_NO_USER = "There is no user with this address."


@router.get("/bulk")
async def show_bulk(request: Request, pool: Database) -> HTMLResponse:
    """Show how many deliveries an action would move, and ask for a confirmation."""
    action = _action(request.query_params.get("action"))
    asked = read_filter(request.query_params.multi_items(), "action")
    shown: dict[str, Any] = {"action": action, "asked": asked, "requested": None, "subscriptions": EXISTING}
    if asked.faults:
        return page(request, "bulk.html.j2", 422, refusal=None, **shown)
    try:
        requested = await _request(pool, action, asked, None, dry_run=True)
    except Problem as refusal:
        return page(request, "bulk.html.j2", refusal=str(refusal), **shown)
    shown |= {"requested": requested, "pairs": pairs_of(requested.filter)}
    return page(request, "bulk.html.j2", refusal=None, **shown)


@router.post("/bulk")
async def begin_bulk(request: Request, pool: Database) -> RedirectResponse:
    """Begin the operation, and lead to its page."""
    form = await read_form(request)
    action = _action(form.get("action"))
    asked = read_filter(form.items(), "action")
    if asked.faults:
        raise Problem(422, "; ".join(f"{name}: {fault}" for name, fault in asked.faults.items()))
    requested = await _request(pool, action, asked, operator(request), dry_run=False)
    begun = requested.operation
    return see(request, f"{PATH}/operations/{begun.id}" if begun else f"{PATH}/operations")


def _action(name: str | None) -> bulk.Action:
    for action in bulk.ACTIONS:
        if action == name:
            return action
    raise Problem(422, f"action: one of {', '.join(bulk.ACTIONS)}.")


async def _request(pool: Pool, action: bulk.Action, asked: Asked, by: str | None, *, dry_run: bool) -> Requested:
    filter_ = await in_time(asked.filter.resolve(pool))
    if filter_ is None:
        raise Problem(404, _NO_USER)
    try:
        meant = bulk.meant(action, filter_)
    except MessagingError as refusal:
        raise Problem(409, str(refusal)) from None
    return await in_time(operating.request(pool, action, meant, by, dry_run=dry_run))
