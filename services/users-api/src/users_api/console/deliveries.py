"""The page "Deliveries"."""

from fastapi.responses import Response
from starlette.requests import Request

from users_api.console.forms import pages
from users_api.console.rendering import page

router = pages()


@router.get("/deliveries")
async def show(request: Request) -> Response:
    """Show the page."""
    return page(request, "deliveries.html.j2")
