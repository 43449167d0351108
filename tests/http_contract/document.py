"""The committed OpenAPI document, as tests read it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMITTED = Path(__file__).parents[2] / "services/users-api/openapi.json"
DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text())


def resolved(node: Any) -> Any:
    """Return what a node refers to, if it is a reference."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    path: str
    method: str
    description: dict[str, Any]

    @property
    def name(self) -> str:
        """Its operationId."""
        return str(self.description["operationId"])

    @property
    def label(self) -> str:
        """As schemathesis names it."""
        return f"{self.method.upper()} {self.path}"

    def response(self, status: int) -> dict[str, Any]:
        """Return the description of its answer with a status. Fails if there is none."""
        response: dict[str, Any] = resolved(self.description["responses"][str(status)])
        return response

    def statuses(self) -> set[int]:
        """Return the documented statuses."""
        return {int(status) for status in self.description["responses"]}

    def content(self, status: int) -> tuple[str, dict[str, Any]]:
        """Return the only content type of an answer, and what it holds."""
        [(content_type, content)] = self.response(status)["content"].items()
        return content_type, content

    @property
    def is_stream(self) -> bool:
        """Whether its answer goes on for as long as the client listens."""
        return "text/event-stream" in self.response(200).get("content", {}) if 200 in self.statuses() else False


def operations() -> Iterator[Operation]:
    """Return every operation of the document."""
    for path, methods in DOCUMENT["paths"].items():
        for method, description in methods.items():
            yield Operation(path, method, description)


OPERATIONS = {operation.name: operation for operation in operations()}
