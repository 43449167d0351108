"""What is refused over HTTP, and how. Nothing of it reaches PostgreSQL."""

import json
from collections.abc import Iterator

import pytest

from .live_api import MAYA, LiveApi, is_problem

UNKNOWN = "3b522671-10aa-4c02-94f1-7ef5dd7d9426"


def body(**fields: object) -> bytes:
    return json.dumps(MAYA | fields).encode()


REFUSED = {
    "no fields": b"{}",
    "no email": b'{"full_name": "Maya"}',
    "no name": b'{"email": "maya@example.com"}',
    "email null": body(email=None),
    "email a number": body(email=5),
    "email a list": body(email=["maya@example.com"]),
    "email empty": body(email=""),
    "email without at": body(email="maya.example.com"),
    "email without domain": body(email="maya@"),
    "email without dot": body(email="maya@example"),
    "email with two ats": body(email="maya@home@example.com"),
    "email of 300 characters": body(email="m" * 288 + "@example.com"),
    "email with a header in it": body(email="maya@example.com\r\nBcc: all@example.com"),
    "email with NUL": body(email="ma\0ya@example.com"),
    "email with a lone surrogate": body(email="\ud800@example.com"),
    "email with a line separator": body(email="ma\u2028ya@example.com"),
    "email of a reserved domain": body(email="maya@localhost.localdomain.test"),
    "name null": body(full_name=None),
    "name a number": body(full_name=5),
    "name true": body(full_name=True),
    "name an object": body(full_name={"first": "Maya"}),
    "name empty": body(full_name=""),
    "name blank": body(full_name=" \t "),
    "name of 201 characters": body(full_name="M" * 201),
    "name of 201 emoji": body(full_name="😀" * 201),
    "name with NUL": body(full_name="Maya\0Chen"),
    "name with a line feed": body(full_name="Maya\nChen"),
    "name with DEL": body(full_name="Maya\x7fChen"),
    "name with NEL": body(full_name="Maya\x85Chen"),
    "name with a lone surrogate": body(full_name="Maya \ud800"),
    "name with a line separator": body(full_name="Maya\u2028Chen"),
    "name with a paragraph separator": body(full_name="Maya\u2029Chen"),
    "broken JSON": b'{"email": "maya@example.com",',
    "nothing": b"",
    "a list": json.dumps([MAYA]).encode(),
    "a string": b'"maya@example.com"',
    "null": b"null",
    "a number": b"1",
    "NaN": b'{"email": NaN, "full_name": -Infinity}',
    "not UTF-8": b'{"email": "maya@example.com", "full_name": "Ma\xff"}',
    "deep nesting": b'{"email":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "a deep beginning": b"[" * 60_000,
    "a huge integer": b'{"email": ' + b"9" * 60_000 + b"}",
    "a huge integer beside": body().replace(b"}", b', "age": ' + b"9" * 5_000 + b"}"),
    "a huge exponent": b'{"email": 1e999999, "full_name": 1}',
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_a_problem_and_writes_nothing(api: LiveApi, sent: bytes) -> None:
    answer = api.http.post("/users", content=sent, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}
    assert is_problem(answer, answer.status_code)
    assert api.counts() == (0, 0, 0)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"])
def test_what_does_not_say_it_is_json_is_refused_and_told_how_to_say_so(api: LiveApi, content_type: str) -> None:
    answer = api.http.post("/users", content=body(), headers={"Content-Type": content_type})

    assert is_problem(answer, 422)
    assert "Content-Type: application/json" in answer.json()["detail"]
    assert api.counts() == (0, 0, 0)


def test_a_refusal_names_each_field_and_does_not_repeat_what_was_sent(api: LiveApi) -> None:
    answer = api.register(email="<script>alert(1)</script>", full_name="\x1b[31mred")

    assert [fault["field"] for fault in answer.json()["errors"]] == ["body.email", "body.full_name"]
    assert "script" not in answer.text
    assert "red" not in answer.text


def test_a_body_of_over_64_kib_is_too_large_announced_or_not(api: LiveApi) -> None:
    large = body(padding="x" * 65_536)

    def in_pieces() -> Iterator[bytes]:
        yield large[:40_000]
        yield large[40_000:]

    for content in (large, in_pieces()):
        answer = api.http.post("/users", content=content, headers={"Content-Type": "application/json"})
        assert is_problem(answer, 413)
    assert api.counts() == (0, 0, 0)


def test_a_body_of_just_64_kib_is_read(api: LiveApi) -> None:
    padding = "x" * (65_536 - len(body(padding="")))
    assert (
        api.http.post(
            "/users", json=None, content=body(padding=padding), headers={"Content-Type": "application/json"}
        ).status_code
        == 201
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/%ed%a0%80%00", 404),
        ("GET", "/users/1", 404),
        ("GET", "/users/1/deliveries", 404),
        ("GET", "/users/9223372036854775807", 404),
        ("GET", "/users/9223372036854775808", 422),
        ("GET", "/users/9999999999999999999999", 422),
        ("GET", "/users/" + "9" * 5_000, 422),
        ("GET", "/users/0", 422),
        ("GET", "/users/-1", 422),
        ("GET", "/users/abc", 422),
        ("GET", "/users/%00", 422),
        ("GET", "/users/0/deliveries", 422),
        ("POST", "/deliveries/abc/audit_log/retry", 422),
        ("POST", f"/deliveries/{UNKNOWN}/audit_log/retry", 404),
        ("POST", f"/deliveries/{UNKNOWN}/audit%00log/retry", 422),
    ],
)
def test_what_is_not_there_is_a_problem(api: LiveApi, method: str, path: str, status: int) -> None:
    assert is_problem(api.http.request(method, path), status)


@pytest.mark.parametrize(("method", "path", "allowed"), [("PUT", "/users", "POST"), ("DELETE", "/users/1", "GET")])
def test_a_method_that_is_not_allowed_is_told_which_is(api: LiveApi, method: str, path: str, allowed: str) -> None:
    answer = api.http.request(method, path)

    assert is_problem(answer, 405)
    assert allowed in answer.headers["allow"]
