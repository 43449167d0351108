"""The OpenAPI document: FastAPI's, with the components that its routes refer to."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from users_api import examples
from users_api.documented import components

ABOUT = """\
Registers users, and sees to it that every registration has its effects: a welcome email, an audit entry.

Every error is `application/problem+json` (RFC 9457). A path that isn't listed is answered 404; a method that isn't
listed for its path, 405 with the header `Allow`. `HEAD` is answered wherever there is `GET`. Query parameters that
aren't listed are refused. The pages for people ([overview](.), [console](console), [events](events), `/docs`), the
[AsyncAPI document](asyncapi.json) and [this one](openapi.json) aren't part of it.
"""

TAGS = [
    {"name": "users", "description": "Register users and find them."},
    {"name": "deliveries", "description": "See what became of every effect; retry, cancel or confirm one."},
    {
        "name": "operations",
        "description": "Retry, cancel, confirm or replay many deliveries, and see what operators did.",
    },
    {"name": "health", "description": "For orchestrators and Prometheus."},
]


class DescribedApi(FastAPI):
    """A FastAPI whose document has the components of `users_api.documented`, and examples with nulls.

    (FastAPI leaves out every null in what it writes, also in the examples of models.)
    """

    def openapi(self) -> dict[str, Any]:
        """Return the document. It is made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            described = document["components"]
            for name, example in examples.OF_MODELS.items():
                described["schemas"][name]["examples"] = [example]
            for kind, parts in components().items():
                described[kind] = described.get(kind, {}) | parts
        return super().openapi()


def name_of(route: APIRoute) -> str:
    """Return a route's operationId: the name of its function."""
    return route.name


def as_text(document: dict[str, Any]) -> str:
    """Return a document as it is committed: services/users-api/openapi.json."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
