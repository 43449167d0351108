"""What the console answers when a page raises: a page that says what happened, and what to do."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import Request

from users_api.console.rendering import is_part, page
from users_api.database import DatabaseBusy, DatabaseUnavailable
from users_api.error_handlers import log_unavailable
from users_api.problems import Problem

_AWAY = "PostgreSQL doesn't answer. Registrations are refused with 503 meanwhile; nothing that was accepted is lost."


def away(error: DatabaseUnavailable) -> str:
    """Say that PostgreSQL can't be read, and what to do."""
    if error.sqlstate is None or isinstance(error, DatabaseBusy):
        return _AWAY
    return f"PostgreSQL can't do this: {error}. If a table or column is missing, run: users-api migrate"


def show_fault(request: Request, status: int, detail: str) -> Response:
    """Show an error: as a page, or as a part of one."""
    template = "_fault.html.j2" if is_part(request) else "fault.html.j2"
    return page(request, template, status, title=HTTPStatus(status).phrase, detail=detail)


async def _problem(request: Request, error: Problem) -> Response:
    return show_fault(request, error.status, str(error))


async def _http(request: Request, error: HTTPException) -> Response:
    detail = "There is no such page." if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
    return show_fault(request, error.status_code, detail)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
    return show_fault(request, HTTPStatus.UNPROCESSABLE_ENTITY, faults)


async def _unavailable(request: Request, error: DatabaseUnavailable) -> Response:
    log_unavailable(error)
    return show_fault(request, HTTPStatus.SERVICE_UNAVAILABLE, away(error))


async def _crashed(request: Request, error: Exception) -> Response:
    """Answer; the exception is raised again afterwards, and logged by `Gate`."""
    return show_fault(request, HTTPStatus.INTERNAL_SERVER_ERROR, "This is a fault of Herald: see the log of users-api.")


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    Problem: _problem,
    HTTPException: _http,
    RequestValidationError: _invalid,
    DatabaseUnavailable: _unavailable,
    Exception: _crashed,
}
