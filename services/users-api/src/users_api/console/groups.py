"""Failures: deliveries whose last attempt didn't succeed, grouped by subscription and normalised error."""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from messaging.publishing.bulk import MOVABLE
from messaging.publishing.states import TROUBLED
from users_api import operating
from users_api.console.asked import read_filter
from users_api.console.forms import pages
from users_api.console.rendering import page
from users_api.database import in_time
from users_api.dependencies import Database

router = pages()

MOST_SHOWN = 100
"""The most groups on a page, the largest. The API returns all of them."""


@router.get("/failures")
async def show_failures(request: Request, pool: Database) -> HTMLResponse:
    """Show the groups, largest first."""
    asked = read_filter(request.query_params.multi_items())
    groups = None if asked.faults else await in_time(operating.groups(pool, asked.filter))
    status = 422 if asked.faults else 200
    shown: dict[str, Any] = {
        "asked": asked,
        "groups": groups,
        "most": MOST_SHOWN,
        "states": TROUBLED,
        "retried": MOVABLE["retry"],
        "failed_groups": sum("failed" in group.states for group in groups.groups) if groups else 0,
    }
    return page(request, "groups.html.j2", status, **shown)
