"""The errors in the OpenAPI document. Each example is an answer that a test has received from a running API.

An error that any request may meet is described once, as a component that operations refer to. The errors of an
operation's own (404, 409) are described where its route is declared.
"""

from dataclasses import dataclass, field
from typing import Any

from users_api.origin import OTHER_SITE
from users_api.problems import Problem

ANYWHERE = (400, 408, 413, 415, 422, 431, 500)
"""What every request may be answered. 422: every route refuses query parameters that it doesn't know."""

UNAVAILABLE = 503
"""What every request but a probe of liveness may be answered."""

CONTENT_TYPE = "application/problem+json"

Headers = dict[str, dict[str, Any]]

_SCHEMA = {"$ref": "#/components/schemas/Problem"}


_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "The body of every error (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "`about:blank`: the status says all that a program needs to know."},
        "title": {"type": "string", "description": "The phrase of the status."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The status of the response."},
        "detail": {"type": "string", "description": "For people: what is wrong, and what to do."},
        "errors": {
            "type": "array",
            "description": "On 422: each fault of the request.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": {"type": "string", "description": "Its place and name, such as `body.email`."},
                    "message": {"type": "string"},
                },
            },
        },
        "checks": {
            "type": "object",
            "description": "On 503 of `/readyz`: what was checked, and what was found.",
            "additionalProperties": {"type": "string"},
        },
    },
}


@dataclass(frozen=True)
class Anywhere:
    """An error that is described once. `headers`: name, schema and description of those that it always has."""

    name: str
    description: str
    example: Problem
    headers: Headers = field(default_factory=dict)


RETRY_AFTER = {
    "Retry-After": {"description": "Seconds until the next attempt.", "required": True, "schema": {"type": "integer"}}
}
_UNCODED = {
    "Accept-Encoding": {"description": "`identity`: no coding.", "required": True, "schema": {"const": "identity"}}
}
_UNKNOWN = {"field": "query.emial", "message": "unknown: this path takes limit, cursor, email"}

_ERRORS = (
    Anywhere(
        "BadRequest",
        "The bytes are no request of HTTP/1.1, or the body is not in UTF-8.",
        Problem(400, "This is no request of HTTP/1.1."),
    ),
    Anywhere("Forbidden", "A browser sent the request for a page of another site.", Problem(403, OTHER_SITE)),
    Anywhere(
        "RequestTimeout",
        "The request wasn't complete in time.",
        Problem(408, "The request wasn't complete within 1 s."),
    ),
    Anywhere(
        "ContentTooLarge",
        "The body is larger than 64 KiB.",
        Problem(413, "POST /users: The body is larger than 65536 bytes."),
    ),
    Anywhere(
        "UnsupportedMediaType",
        "The body is compressed.",
        Problem(415, "The body is encoded as gzip. Send it as it is, without compression."),
        _UNCODED,
    ),
    Anywhere(
        "UnprocessableContent",
        "A parameter or the body is not as described, or a query parameter is unknown.",
        Problem(422, "query.emial: unknown: this path takes limit, cursor, email", errors=[_UNKNOWN]),
    ),
    Anywhere(
        "RequestHeaderFieldsTooLarge",
        "The request line and headers are larger than 64 KiB.",
        Problem(431, "The request line and headers are larger than 65536 bytes."),
    ),
    Anywhere(
        "InternalServerError",
        "A fault of the API. Nothing was done.",
        Problem(500, "An unexpected error occurred. The log of users-api has the details."),
    ),
    Anywhere(
        "ServiceUnavailable",
        "PostgreSQL doesn't answer, or all connections are taken. A registration may have happened nevertheless.",
        Problem(503, "The database is not available. Try again, with the same Idempotency-Key if you sent one."),
        RETRY_AFTER,
    ),
)
_BY_STATUS = {error.example.status: error for error in _ERRORS}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refer to errors that are described once, as `responses` of a router or a route."""
    errors = [_BY_STATUS[status] for status in statuses]
    return {
        each.example.status: {"$ref": f"#/components/responses/{each.name}", "description": each.description}
        for each in errors
    }


def problem(
    status: int, description: str, headers: Headers | None = None, **examples: str | Problem
) -> dict[int | str, dict[str, Any]]:
    """Describe an error of one operation, as `responses` of its route. `examples`: their names, and their details."""
    problems = {
        name: example if isinstance(example, Problem) else Problem(status, example)
        for name, example in examples.items()
    }
    return {status: _response(description, problems, headers)}


def components() -> dict[str, dict[str, Any]]:
    """Return the components that `documented` and `problem` refer to."""
    responses = {each.name: _response(each.description, {"example": each.example}, each.headers) for each in _ERRORS}
    return {"schemas": {"Problem": _PROBLEM}, "responses": responses}


def _response(description: str, examples: dict[str, Problem], headers: Headers | None = None) -> dict[str, Any]:
    content = {"schema": _SCHEMA, "examples": {name: {"value": each.body} for name, each in examples.items()}}
    response: dict[str, Any] = {"description": description, "content": {CONTENT_TYPE: content}}
    return response | ({"headers": headers} if headers else {})
