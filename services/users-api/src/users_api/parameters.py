"""The parameters of paths, queries and headers, as FastAPI and the OpenAPI document have them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Path, Query
from pydantic import WithJsonSchema

from contracts import AUDIT_LOG
from users_api.examples import EVENT_ID
from users_api.fields import ADDRESS, EmailAddress
from users_api.filter_fields import NAME

VISIBLE = r"^[\x21-\x7e]+$"
"""ASCII, without white space; not empty."""

_ABOUT_KEY = (
    "For one day, a repeated request with the same key gets the first response and creates no second user. Each key is"
    " for one request: with another body it is refused."
)
_ABOUT_ID = "Appears in every service's log lines about the event; generated if omitted."
_ABOUT_OPERATOR = "Who does this, as `GET /operations` will show it."
_ABOUT_FILTER = "Only the user with this address, compared as registering does. (A + in it is %2B in a URL.)"
_ABOUT_CURSOR = "`next` of the previous page, unchanged."


def optional(schema: dict[str, Any], *examples: object) -> WithJsonSchema:
    """Describe an optional header or query parameter: it can be left out, but is never null."""
    return WithJsonSchema(schema | ({"examples": list(examples)} if examples else {}))


UserId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[1])]
EventId = Annotated[UUID, Path(examples=[EVENT_ID])]
SubscriptionName = Annotated[str, Path(pattern=NAME, max_length=100, examples=[AUDIT_LOG.name])]

Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[
    str | None,
    Query(description=_ABOUT_CURSOR),
    optional({"type": "string", "format": "cursor", "minLength": 1}, "MA=="),
]
Filter = Annotated[EmailAddress | None, Query(description=_ABOUT_FILTER), optional(ADDRESS)]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=255, pattern=VISIBLE, description=_ABOUT_KEY),
    optional(
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": VISIBLE},
        "8e03978e-40d5-43dd-bc93-6894a57f9324",
    ),
]
CorrelationId = Annotated[
    str | None,
    Header(alias="X-Correlation-ID", max_length=128, pattern=VISIBLE, description=_ABOUT_ID),
    optional({"type": "string", "minLength": 1, "maxLength": 128, "pattern": VISIBLE}, "order-42"),
]
OperatorName = Annotated[
    str | None,
    Header(alias="X-Operator", max_length=100, pattern=VISIBLE, description=_ABOUT_OPERATOR),
    optional({"type": "string", "minLength": 1, "maxLength": 100, "pattern": VISIBLE}, "ada"),
]
