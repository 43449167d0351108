"""What HTTP promises its clients: parameters that count, methods, paths, codings, and an honest description."""

import gzip
import json
from typing import Any

import pytest

from .live_api import MAYA, LiveApi, is_problem

JSON = "application/json"

# Query parameters


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users?emial=maya@example.com"),
        ("GET", "/users?limit=5&offset=10"),
        ("GET", "/users?Limit=5"),
        ("GET", "/users?email[]=maya@example.com"),
        ("GET", "/users/1?expand=deliveries"),
        ("GET", "/users/1/deliveries?state=failed"),
        ("POST", "/users?dry_run=true"),
        ("POST", "/deliveries/0190b0a0-0000-7000-8000-000000000000/audit_log/retry?force=1"),
        ("GET", "/livez?verbose=1"),
        ("GET", "/readyz?x="),
        ("GET", "/metrics?name[]=x"),
        ("GET", "/users?unknown"),
    ],
)
def test_a_query_parameter_that_a_path_does_not_know_is_refused_by_name(api: LiveApi, method: str, path: str) -> None:
    api.register()

    answer = api.http.request(
        method, path, json=MAYA | {"email": "other@example.com"} if path[:7] == "/users?" else None
    )

    assert is_problem(answer, 422)
    unknown = path.rpartition("?")[2].rpartition("&")[2].partition("=")[0]
    assert f"query.{unknown}: unknown" in answer.json()["detail"]
    assert api.counts()[0] == 1


def test_a_query_parameter_that_is_given_twice_is_refused(api: LiveApi) -> None:
    answer = api.http.get("/users?limit=1&limit=2")
    assert is_problem(answer, 422)
    assert "query.limit: given more than once" in answer.json()["detail"]


def test_a_refusal_says_which_parameters_there_are(api: LiveApi) -> None:
    assert "this path takes limit, cursor, email" in api.http.get("/users?q=maya").json()["detail"]


# The filter by address


def found(api: LiveApi, email: str, **more: Any) -> list[str]:
    answer = api.http.get("/users", params={"email": email, **more})
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    return [user["email"] for user in answer.json()["users"]]


def test_a_user_is_found_by_address(api: LiveApi) -> None:
    for email in ("maya@example.com", "maya+news@example.com", "Žofie@BÜCHER.example"):
        assert api.register(email=email).status_code == 201

    assert found(api, "maya@example.com") == ["maya@example.com"]
    assert found(api, " MAYA@Example.com") == ["maya@example.com"]
    assert found(api, "maya+news@example.com") == ["maya+news@example.com"]
    assert found(api, "žofie@xn--bcher-kva.example", limit=1) == ["Žofie@bücher.example"]
    assert found(api, "nobody@example.com") == []


def test_a_user_that_is_before_the_cursor_is_not_on_the_page(api: LiveApi) -> None:
    api.register()
    api.register(email="other@example.com")
    cursor = api.http.get("/users", params={"limit": 1}).json()["next"]

    assert found(api, "maya@example.com", cursor=cursor) == []
    assert found(api, "other@example.com", cursor=cursor) == ["other@example.com"]


@pytest.mark.parametrize("email", ["", "maya", "%", "maya@", "*@example.com, other@example.com"])
def test_what_is_no_address_finds_nobody(api: LiveApi, email: str) -> None:
    answer = api.http.get("/users", params={"email": email})
    assert is_problem(answer, 422)
    assert "query.email: not a valid email address" in answer.json()["detail"]


def test_domains_are_compared_as_idna_2008_has_them_and_local_parts_by_case_alone(api: LiveApi) -> None:
    two = ["a@faß.de", "a@fass.de", "straße@example.com", "strasse@example.com"]
    assert [api.register(email=email).status_code for email in two] == 4 * [201]
    again = ["A@xn--fa-hia.de", "A@FASS.de", "STRA\u1e9eE@example.com", "Strasse@Example.com"]
    assert [api.register(email=email).status_code for email in again] == 4 * [409]
    assert [found(api, email) for email in two] == [[email] for email in two]


# Methods and paths


@pytest.mark.parametrize(
    "path", ["/users", "/users/1", "/users/1/deliveries", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json"]
)
def test_head_is_answered_as_get_without_the_body(api: LiveApi, path: str) -> None:
    api.register()
    got, headed = api.http.get(path), api.http.head(path)

    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-type"] == got.headers["content-type"]
    assert abs(int(headed.headers["content-length"]) - len(got.content)) < 100, "metrics count this too"


def test_head_tells_what_get_would_and_the_connection_goes_on(api: LiveApi) -> None:
    assert api.http.head("/users/1").status_code == 404
    assert api.http.head("/users?x=1").status_code == 422
    assert api.http.head("/nowhere").status_code == 404
    assert api.http.get("/livez").json() == {"status": "alive"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/users", "GET, HEAD, POST"),
        ("DELETE", "/users", "GET, HEAD, POST"),
        ("OPTIONS", "/users", "GET, HEAD, POST"),
        ("DELETE", "/users/1", "GET, HEAD"),
        ("POST", "/users/1/deliveries", "GET, HEAD"),
        ("POST", "/livez", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("GET", "/deliveries/x/y/retry", "POST"),
    ],
)
def test_allow_names_every_method_of_a_path(api: LiveApi, method: str, path: str, allowed: str) -> None:
    answer = api.http.request(method, path)
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == allowed


def test_head_of_what_has_no_get_is_not_allowed(api: LiveApi) -> None:
    answer = api.http.head("/deliveries/x/y/retry")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/users/"), ("GET", "/users/"), ("GET", "/users/1/"), ("GET", "/livez/")]
)
def test_a_path_with_a_slash_too_many_redirects_nowhere(api: LiveApi, method: str, path: str) -> None:
    answer = api.http.request(method, path, headers={"X-Forwarded-Proto": "https", "Host": "users.example.com"})

    assert is_problem(answer, 404)
    assert "location" not in answer.headers
    assert "no slash at the end" in answer.json()["detail"]


# Bodies


@pytest.mark.parametrize(
    ("header", "coding"),
    [("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Content-Encoding", "identity, DEFLATE")],
)
def test_a_compressed_body_is_told_to_come_uncompressed(api: LiveApi, header: str, coding: str) -> None:
    answer = api.http.post("/users", content=gzip.compress(json.dumps(MAYA).encode()), headers={header: coding})

    assert is_problem(answer, 415)
    assert "without compression" in answer.json()["detail"]
    assert answer.headers["accept-encoding"] == "identity"
    assert api.counts()[0] == 0


def test_a_compressed_body_in_chunks_is_told_the_same(api: LiveApi) -> None:
    content = iter([gzip.compress(json.dumps(MAYA).encode())])
    assert is_problem(api.http.post("/users", content=content, headers={"Content-Encoding": "gzip"}), 415)


def test_a_compressed_body_that_does_not_say_so_is_told_the_same(api: LiveApi) -> None:
    content = gzip.compress(json.dumps(MAYA).encode())
    answer = api.http.post("/users", content=content, headers={"Content-Type": "application/json"})
    assert is_problem(answer, 400)
    assert "without compression" in answer.json()["detail"]


def test_a_body_that_says_it_is_as_it_is_is_read(api: LiveApi) -> None:
    assert api.http.post("/users", json=MAYA, headers={"Content-Encoding": "identity"}).status_code == 201
