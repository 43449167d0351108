"""Is an answer what the OpenAPI document says of its operation?"""

from typing import Any

import httpx
import jsonschema_rs

from .document import DOCUMENT, Operation


def assert_documented(operation: Operation, answer: httpx.Response) -> None:
    """Check status, content type, headers and body of an answer."""
    response = operation.response(answer.status_code)
    content_type, content = operation.content(answer.status_code)
    assert answer.headers["content-type"].partition(";")[0] == content_type
    for name, header in response.get("headers", {}).items():
        value = answer.headers[name]
        _validate(int(value) if header["schema"].get("type") == "integer" else value, header["schema"])
    if content_type.endswith("json"):
        _validate(answer.json(), content["schema"])


def example_request(operation: Operation) -> dict[str, Any]:
    """Return the request that consists of the document's examples, as httpx takes it."""
    examples = {
        kind: {
            each["name"]: each["schema"]["examples"][0] for each in _parameters(operation, kind) if _has_example(each)
        }
        for kind in ("path", "query", "header")
    }
    request: dict[str, Any] = {"method": operation.method, "url": operation.path.format_map(examples["path"])}
    request |= {"params": examples["query"], "headers": examples["header"]}
    if body := operation.description.get("requestBody"):
        request["json"] = example(body["content"]["application/json"]["schema"])
    return request


def example(schema: dict[str, Any]) -> Any:
    """Return the example of a schema that refers to a model."""
    return DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["examples"][0]


def is_shaped_like(value: Any, other: Any) -> bool:
    """Do two values have the same fields of the same types, however deep? A null may stand for anything."""
    if value is None or other is None:
        return True
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(is_shaped_like(value[name], other[name]) for name in value)
    if isinstance(value, list) and isinstance(other, list):
        return all(is_shaped_like(each, other[0]) for each in value)
    return type(value) is type(other)


def _parameters(operation: Operation, kind: str) -> list[dict[str, Any]]:
    return [each for each in operation.description.get("parameters", []) if each["in"] == kind]


def _has_example(parameter: dict[str, Any]) -> bool:
    assert parameter["schema"].get("examples") or not parameter["required"], parameter["name"]
    return "examples" in parameter["schema"]


def _validate(value: Any, schema: dict[str, Any]) -> None:
    schema = {**schema, "components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(value)
