"""What the application answers when a route or the framework raises: a problem, always."""

import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from users_api.database import DatabaseBusy, DatabaseUnavailable
from users_api.methods import allowed
from users_api.problems import Problem, problem_response

REMIND_SECONDS = 60.0
"""An error that every request meets is logged once in this time."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("users-api")


async def _problem(request: Request, error: Problem) -> JSONResponse:
    return problem_response(error.status, error.body, error.headers)


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """Name each field and fault; never echo the input, which may be anything."""
    faults = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()]
    if faults[0]["field"] == "body" and "json" not in request.headers.get("content-type", ""):
        faults[0]["message"] = "must be JSON, sent with the header Content-Type: application/json"
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    return problem_response(422, Problem(422, detail, errors=faults).body)


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    """Answer what the framework raises: 404, 405, a body that isn't UTF-8."""
    status, headers, detail = error.status_code, error.headers, error.detail
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": allowed(request)}
    elif status == HTTPStatus.BAD_REQUEST:
        detail = "The body can't be read. Send JSON in UTF-8, without compression."
    elif status == HTTPStatus.NOT_FOUND and request.url.path.endswith("/"):
        detail = f"{detail}. Paths have no slash at the end."
    body = Problem(status, f"{request.method} {request.url.path}: {detail}").body
    return problem_response(status, body, headers)


class _Reminder:
    """Lets a text pass once, and again when `REMIND_SECONDS` have passed since."""

    def __init__(self) -> None:
        self._passed: dict[str, float] = {}

    def is_due(self, text: str) -> bool:
        """Is the text to be logged now?"""
        now = time.monotonic()
        self._passed = {text: at for text, at in self._passed.items() if now - at < REMIND_SECONDS}
        return self._passed.setdefault(text, now) == now


_unfit = _Reminder()


def log_unavailable(error: DatabaseUnavailable) -> None:
    """Log what PostgreSQL can't do. What it says by a SQLSTATE needs an operator, and is logged once in a while."""
    if error.sqlstate is None or isinstance(error, DatabaseBusy):
        log.warning("database.unavailable", error=str(error))
    elif _unfit.is_due(str(error)):
        log.error("database.refused", error=str(error), sqlstate=error.sqlstate)


async def _unavailable(request: Request, error: DatabaseUnavailable) -> JSONResponse:
    log_unavailable(error)
    body = Problem(503, "The database is not available. Try again, with the same Idempotency-Key if you sent one.").body
    return problem_response(503, body, {"Retry-After": "2"})


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    Problem: _problem,
    RequestValidationError: _invalid,
    HTTPException: _http,
    DatabaseUnavailable: _unavailable,
}
"""As `FastAPI(exception_handlers=...)` takes them."""
