"""The OpenAPI document is committed, complete, and the same on every machine."""

import json
import subprocess
from typing import Any

import pytest
from tests.http_contract.document import COMMITTED, DOCUMENT, OPERATIONS, Operation, resolved

from devstack.programs import program

ALL = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))


def test_the_committed_document_is_the_one_of_this_version() -> None:
    printed = subprocess.run([program("users-api"), "openapi"], env={}, capture_output=True, text=True, check=True)

    assert printed.stdout == COMMITTED.read_text(), "the API has changed: run `make contracts`, and commit the result"
    assert printed.stderr == ""


@ALL
def test_an_operation_says_what_it_is(operation: Operation) -> None:
    described = operation.description

    assert described["summary"] != operation.name.replace("_", " ").title(), "not FastAPI's"
    assert described["description"]
    assert [tag for tag in DOCUMENT["tags"] if tag["name"] in described["tags"]]


@ALL
def test_every_error_is_a_problem_with_an_example_that_says_so(operation: Operation) -> None:
    for status in operation.statuses():
        response = operation.response(status)
        if status >= 400:
            content_type, content = operation.content(status)
            assert content_type == "application/problem+json"
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            examples = [example["value"] for example in content["examples"].values()]
            assert [example["status"] for example in examples] == len(examples) * [status]
            assert examples
        assert response["description"] not in {"", "Successful Response"}
        assert ("Retry-After" in response.get("headers", {})) == (status == 503)


@ALL
def test_what_any_request_may_meet_is_documented_everywhere(operation: Operation) -> None:
    anywhere = {400, 408, 413, 415, 422, 431, 500}
    assert operation.statuses() >= anywhere | ({503} if operation.name != "livez" else set())


@pytest.mark.parametrize("name", ["search_deliveries", "group_deliveries"])
def test_a_filter_in_a_query_accepts_what_a_filter_in_a_body_accepts(name: str) -> None:
    in_query = {each["name"]: each["schema"] for each in OPERATIONS[name].description["parameters"]}

    for field, schema in DOCUMENT["components"]["schemas"]["DeliveryFilter"]["properties"].items():
        [in_body] = [each for each in schema["anyOf"] if each.get("type") != "null"]
        assert _accepted(in_query[field]) == _accepted(in_body), field


def _accepted(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without what only describes it."""
    items = {"items": _accepted(resolved(schema["items"]))} if "items" in schema else {}
    return {each: value for each, value in schema.items() if each not in {"title", "description", "examples"}} | items


def test_links_lead_to_operations_and_name_parameters_that_these_have() -> None:
    links = [link for operation in OPERATIONS.values() for link in _links(operation)]

    for link in links:
        parameters = {parameter["name"] for parameter in OPERATIONS[link["operationId"]].description["parameters"]}
        assert set(link["parameters"]) <= parameters
    assert {link["operationId"] for link in links} >= {"get_user", "get_deliveries", "retry_delivery"}
    assert "show_event" in {link["operationId"] for link in _links(OPERATIONS["get_deliveries"])}


def test_every_component_is_used() -> None:
    text = json.dumps(DOCUMENT)
    parts = [f"#/components/{kind}/{name}" for kind, named in DOCUMENT["components"].items() for name in named]
    assert [part for part in parts if f'"{part}"' not in text] == []


def test_an_optional_header_or_query_parameter_is_never_null() -> None:
    parameters = [each for operation in OPERATIONS.values() for each in operation.description.get("parameters", [])]
    assert parameters
    assert [each["name"] for each in parameters if resolved(each["schema"]).get("anyOf")] == []


def _links(operation: Operation) -> list[dict[str, Any]]:
    return [link for status in operation.statuses() for link in operation.response(status).get("links", {}).values()]
