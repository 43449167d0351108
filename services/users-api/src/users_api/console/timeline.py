"""One event, or one user with all events: what happened, on a time axis to scale, and what can be done."""

import json
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import HTMLResponse

from users_api import queries
from users_api.console.chain_reading import MOST_EVENTS, Chain, chain_of_event, chains_of_user
from users_api.console.forms import pages
from users_api.console.lanes import chart
from users_api.console.rendering import is_part, page
from users_api.console.said import said
from users_api.console.stretches import MEANINGS
from users_api.console.subjects import addresses
from users_api.database import in_time
from users_api.dependencies import Database
from users_api.parameters import EventId, UserId
from users_api.problems import Problem

router = pages()

ZOOMS = {"second": timedelta(seconds=1), "minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
"""Shorter axes, for an event whose effects happened at very different times."""

Zoom = Annotated[str | None, Query(max_length=10)]

_NO_EVENT = (
    "There is no event {}. An event is removed with its deliveries RETENTION_DAYS after the last of them ended, and an"
    " event of another service is in that service's database."
)


@router.get("/events/{event_id}")
async def show_event(request: Request, event_id: EventId, pool: Database, zoom: Zoom = None) -> HTMLResponse:
    """Show one event."""
    chain = await in_time(chain_of_event(pool, event_id))
    if chain is None:
        raise Problem(404, _NO_EVENT.format(event_id))
    emails = await in_time(addresses(pool, [chain.subject]))
    envelope = json.dumps(chain.envelope, indent=2, ensure_ascii=False)
    shown: dict[str, Any] = {
        "chain": chain,
        "entries": [_entry(chain, zoom)],
        "email": emails.get(chain.subject),
        "envelope": envelope,
    }
    return page(request, _template(request, "event"), **shown, **_shared(request, zoom))


@router.get("/users/{user_id}")
async def show_user(request: Request, user_id: UserId, pool: Database, zoom: Zoom = None) -> HTMLResponse:
    """Show one user, and the newest events."""
    user = await in_time(queries.user(pool, user_id))
    if user is None:
        raise Problem(404, f"There is no user {user_id}. Search for an address instead.")
    chains = await in_time(chains_of_user(pool, user_id))
    entries = [_entry(chain, zoom) for chain in chains[:MOST_EVENTS]]
    more = len(chains) > MOST_EVENTS
    return page(request, _template(request, "user"), user=user, entries=entries, more=more, **_shared(request, zoom))


def _template(request: Request, name: str) -> str:
    return f"_{name}.html.j2" if is_part(request) else f"{name}.html.j2"


def _shared(request: Request, zoom: str | None) -> dict[str, Any]:
    zoomed = f"?zoom={zoom}" if zoom in ZOOMS else ""
    return {"meanings": MEANINGS, "zoomed": zoomed, "said": said(request)}


def _entry(chain: Chain, zoom: str | None) -> dict[str, Any]:
    """Return a chain with its chart, the shorter axes that it can be shown on, and whether it is still under way."""
    whole = chart(chain)
    shorter = [name for name, length in ZOOMS.items() if length < whole.length]
    length = ZOOMS[zoom] if zoom in shorter else None
    laid_out = chart(chain, length) if length else whole
    under_way = any(delivery.finished_at is None for delivery in chain.deliveries)
    return {
        "chain": chain,
        "chart": laid_out,
        "zooms": shorter,
        "zoom": zoom if length else None,
        "under_way": under_way,
    }
