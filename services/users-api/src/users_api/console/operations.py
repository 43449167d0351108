"""Operations: what operators did, and how far it has come."""

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from messaging.publishing.operations import EXISTING
from users_api import operating, queries
from users_api.console import PATH
from users_api.console.asked import query_of
from users_api.console.forms import pages
from users_api.console.rendering import is_part, operator, page, see
from users_api.database import in_time
from users_api.dependencies import Database
from users_api.filter_fields import MAX_ID
from users_api.problems import Problem

PAGE = 50

router = pages()

OperationId = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.get("/operations")
async def show_operations(request: Request, pool: Database, cursor: str | None = None) -> HTMLResponse:
    """Show operations, newest first."""
    before = MAX_ID if cursor is None else queries.read_cursor(cursor)
    if before is None:
        raise Problem(422, "This isn't a cursor of these pages. Begin with the first page.")
    shown = await in_time(operating.recent(pool, PAGE, before))
    return page(request, "operations.html.j2", shown=shown, every=EXISTING, is_first=cursor is None)


@router.get("/operations/{operation_id}")
async def show_operation(request: Request, operation_id: OperationId, pool: Database) -> HTMLResponse:
    """Show one operation. While it runs, the page reads itself again every second."""
    operation = await in_time(operating.operation(pool, operation_id))
    if operation is None:
        raise Problem(404, f"There is no operation {operation_id}. Operations are kept for as long as events are.")
    template = "_operation.html.j2" if is_part(request) else "operation.html.j2"
    return page(request, template, operation=operation, every=EXISTING, query=query_of(operation.filter))


@router.post("/operations/{operation_id}/cancel")
async def cancel_operation(request: Request, operation_id: OperationId, pool: Database) -> RedirectResponse:
    """Cancel an operation, and show it. One that has ended meanwhile stays as it is; its page says so."""
    state, _ = await in_time(operating.stop(pool, operation_id, operator(request)))
    if state is None:
        raise Problem(404, f"There is no operation {operation_id}.")
    return see(request, f"{PATH}/operations/{operation_id}")
