"""Every error is `application/problem+json` (RFC 9457), whether a route or the framework raises it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""As RFC 9110 has them. Python 3.13 renamed the phrases of `HTTPStatus`."""


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
            "title": _TITLES.get(status) or HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **extensions,
        }


def problem_response(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer with a problem's body."""
    return JSONResponse(body, status, headers, media_type="application/problem+json")
