"""A page of another site can't act as the operator whose browser shows it."""

import pytest
from fastapi.routing import APIRoute

from users_api import operating_routes, routes

from .live_api import LiveApi, is_problem

ACTIONS = sorted(
    route.path
    for router in (routes.router, operating_routes.router)
    for route in router.routes
    if isinstance(route, APIRoute) and "POST" in (route.methods or ()) and route.path != "/users"
)
ID = "01a22d04-e1a9-7007-a83e-b34c83a03148"

ELSEWHERE = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://other.example"}]
HERE = [{}, {"Sec-Fetch-Site": "same-origin"}]


def act(api: LiveApi, path: str, headers: dict[str, str]) -> int:
    filled = path.format(event_id=ID, subscription="audit_log", operation_id=4711)
    answer = api.http.post(filled, headers=headers, json={"action": "retry", "filter": {}, "dry_run": True})
    assert answer.is_success or is_problem(answer, answer.status_code)
    return answer.status_code


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
@pytest.mark.parametrize("path", ACTIONS)
def test_every_action_of_operators_refuses_a_page_of_another_site(
    api: LiveApi, path: str, headers: dict[str, str]
) -> None:
    assert act(api, path, headers) == 403


@pytest.mark.parametrize("headers", HERE, ids=str)
@pytest.mark.parametrize("path", ACTIONS)
def test_our_pages_and_programs_may_act(api: LiveApi, path: str, headers: dict[str, str]) -> None:
    assert act(api, path, headers) in {200, 404}


def test_anyone_may_register(api: LiveApi) -> None:
    answer = api.http.post("/users", json={"email": "maya@example.com", "full_name": "Maya"}, headers=ELSEWHERE[0])

    assert answer.status_code == 201
