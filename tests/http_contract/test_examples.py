"""The OpenAPI document's requests and answers, sent to a running API and compared."""

from typing import Any

import httpx
import pytest
from tests.integration.live_api import LiveApi

from users_api.examples import EVENT_ID

from .conformance import assert_documented, example, example_request, is_shaped_like
from .document import OPERATIONS

STORY = (
    "create_user",
    "list_users",
    "get_user",
    "get_deliveries",
    "search_deliveries",
    "group_deliveries",
    "show_event",
    "move_deliveries",
    "cancel_delivery",
    "retry_delivery",
    "confirm_delivery",
    "list_operations",
    "show_operation",
    "cancel_operation",
    "livez",
    "readyz",
    "show_metrics",
    "show_status",
    "show_live",
)
"""The operations in an order in which each example finds what it is about."""


def test_every_example_succeeds_and_its_answer_has_the_shape_of_the_example(api: LiveApi) -> None:
    assert set(STORY) == set(OPERATIONS)
    for name in STORY:
        answer = send_example(api, name)

        assert answer.is_success, f"{name}: {answer.text}"
        assert_documented(OPERATIONS[name], answer)
        _, content = OPERATIONS[name].content(answer.status_code)
        if "$ref" in content.get("schema", {}):
            assert is_shaped_like(answer.json(), example(content["schema"])), f"{name}: {answer.text}"


def test_the_first_registration_is_answered_just_as_the_example(api: LiveApi) -> None:
    answer = send_example(api, "create_user")

    _, content = OPERATIONS["create_user"].content(201)
    assert answer.json() == example(content["schema"])
    assert answer.headers["location"] == "/users/1"


@pytest.mark.parametrize(
    ("source", "link"),
    [
        (name, link)
        for name in STORY
        for status in sorted(OPERATIONS[name].statuses())
        for link in OPERATIONS[name].response(status).get("links", {})
    ],
)
def test_every_link_leads_somewhere(api: LiveApi, source: str, link: str) -> None:
    api.register(email="first@example.com")
    answers = {name: send_example(api, name) for name in STORY[: STORY.index(source)]}
    page = f"{OPERATIONS[source].path}?limit=1"
    answers[source] = api.http.get(page) if link == "next" else send_example(api, source)

    [linked] = [
        response["links"][link]
        for status in OPERATIONS[source].statuses()
        if link in (response := OPERATIONS[source].response(status)).get("links", {})
    ]
    parameters = {name: _at(answers[source].json(), place) for name, place in linked["parameters"].items()}
    target = OPERATIONS[linked["operationId"]]
    answer = api.http.request(target.method, target.path.format_map(parameters), params=_query(linked, parameters))

    assert answer.is_success or answer.status_code == 409, answer.text
    assert_documented(target, answer)


@pytest.mark.parametrize(
    ("value", "other", "alike"),
    [
        ({"a": 1}, {"a": 2}, True),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": 1}, {"a": 1, "b": 1}, False),
        ({"a": [{"b": 1}, {"b": "x"}]}, {"a": [{"b": 1}]}, False),
        ({"a": []}, {"a": [1]}, True),
        (True, 1, False),
        (None, 1, True),
    ],
)
def test_a_shape_is_its_fields_and_their_types(value: Any, other: Any, alike: bool) -> None:
    assert is_shaped_like(value, other) is alike


def send_example(api: LiveApi, name: str) -> httpx.Response:
    """Send an operation's example. The first event that it makes is the one of the examples."""
    if name == "confirm_delivery":
        api.execute("UPDATE deliveries SET state = 'uncertain', due_at = NULL, finished_at = now()")
    answer = request(api, OPERATIONS[name].is_stream, **example_request(OPERATIONS[name]))
    newest = "'users/' || (SELECT max(id) FROM users)"
    api.execute(
        f"WITH renamed AS (UPDATE events SET id = %s WHERE subject = {newest} RETURNING id)"
        " UPDATE deliveries SET event_id = renamed.id FROM renamed"
        f" WHERE event_id = (SELECT id FROM events WHERE subject = {newest})",
        EVENT_ID,
    )
    return answer


def request(api: LiveApi, is_stream: bool, **parameters: Any) -> httpx.Response:
    """Send a request. Of a stream only the head is read: the body doesn't end."""
    if not is_stream:
        return api.http.request(**parameters)
    with api.http.stream(**parameters) as answer:
        return answer


def _at(answer: Any, expression: str) -> Any:
    """Return what an expression of a link stands for."""
    for part in expression.removeprefix("$response.body#/").split("/"):
        answer = answer[int(part) if isinstance(answer, list) else part]
    assert answer is not None, expression
    return answer


def _query(link: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    described = OPERATIONS[link["operationId"]].description["parameters"]
    return {
        each["name"]: parameters[each["name"]]
        for each in described
        if each["in"] == "query" and each["name"] in parameters
    }
