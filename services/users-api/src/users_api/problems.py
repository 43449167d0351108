"""Every error is `application/problem+json` (RFC 9457), whether a route or the framework raises it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

ANYWHERE = (408, 422, 431, 500, 503)
"""What every route may answer: 422, because each refuses query parameters that it doesn't know."""


class Problem(Exception):
    """The request can't be done as it is. `detail` says why and what to do."""

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, **extensions: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
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
