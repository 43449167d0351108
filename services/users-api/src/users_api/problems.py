"""Every error is `application/problem+json` (RFC 9457), whoever raises it."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.database import DatabaseBusy, DatabaseUnavailable
from users_api.methods import allowed

REMIND_SECONDS = 60.0
"""How often an error that every request meets is logged."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("users-api")


class Problem(Exception):
    """The request can't be done as it is. `detail` says why and what to do."""

    def __init__(self, status: int, detail: str, **extensions: object) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **extensions,
        }


class ProblemDetails(BaseModel):
    """The body of every error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe a route's errors for OpenAPI."""
    content = {"application/problem+json": {"schema": ProblemDetails.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem_response(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer with a problem's body."""
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make the application answer every error with a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DatabaseUnavailable, _unavailable)
    app.add_middleware(AnswerCrashes)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101  # Starlette looks handlers up by class
    return problem_response(error.status, error.body)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Name each field and fault; never echo the input, which may be anything."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # as above
    faults = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()]
    if faults[0]["field"] == "body" and "json" not in request.headers.get("content-type", ""):
        faults[0]["message"] = "must be JSON, sent with the header Content-Type: application/json"
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    return problem_response(422, Problem(422, detail, errors=faults).body)


async def _http(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework raises: 404, 405, a body that isn't UTF-8."""
    assert isinstance(error, HTTPException)  # noqa: S101  # as above
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
        """Tell whether the text is to be logged now."""
        now = time.monotonic()
        self._passed = {text: at for text, at in self._passed.items() if now - at < REMIND_SECONDS}
        return self._passed.setdefault(text, now) == now


_unfit = _Reminder()


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    """Answer 503. What PostgreSQL says by a SQLSTATE needs an operator, and is logged once, not for each request."""
    assert isinstance(error, DatabaseUnavailable)  # noqa: S101  # as above
    if error.sqlstate is None or isinstance(error, DatabaseBusy):
        log.warning("database.unavailable", error=str(error))
    elif _unfit.is_due(str(error)):
        log.error("database.refused", error=str(error), sqlstate=error.sqlstate)
    body = Problem(503, "The database is not available. Try again, with the same Idempotency-Key if you sent one.").body
    return problem_response(503, body, {"Retry-After": "2"})


class AnswerCrashes:
    """ASGI middleware: an exception that nobody expected is a 500, logged once.

    As an exception handler it would sit outside of every middleware, so metrics would miss it; and Starlette would
    raise the exception again, so uvicorn would log it twice and drop the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        started = scope["type"] != "http"  # then there is no other answer to give

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if started:
                raise
            log.exception("request.crashed", path=scope["path"])
            body = Problem(500, "An unexpected error occurred. The log of users-api has the details.").body
            await problem_response(500, body)(scope, receive, send)
