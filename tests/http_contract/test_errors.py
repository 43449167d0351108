"""Every error in the OpenAPI document has happened: each example is provoked, and equals the answer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from tests.integration.api_process import HEAD, NOWHERE, Api, answers, users_api
from tests.integration.live_api import MAYA, LiveApi
from tests.patience import until

from users_api.examples import EVENT_ID

from .conformance import assert_documented
from .document import DOCUMENT, OPERATIONS, Operation

Provoke = Callable[[LiveApi], httpx.Response]

OLDER = "UPDATE users_api_revision SET version_num = 'users_0002' WHERE version_num LIKE 'users_%%'"
NEWEST = "UPDATE users_api_revision SET version_num = 'users_0003' WHERE version_num LIKE 'users_%%'"


def taken(api: LiveApi) -> httpx.Response:
    api.register()
    return api.register()


def still_running(api: LiveApi) -> httpx.Response:
    with ThreadPoolExecutor() as people, psycopg.connect(api.database.info.dsn) as connection:
        connection.execute("LOCK TABLE users IN EXCLUSIVE MODE")
        people.submit(api.register_once, "key")
        until(lambda: api.rows("SELECT FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass") != [])
        return api.register_once("key")


def key_reused(api: LiveApi) -> httpx.Response:
    api.register_once("key")
    return api.register_once("key", full_name="Maya")


def retried_when_pending(api: LiveApi) -> httpx.Response:
    return move(api, "retry", api.register())


def cancelled_twice(api: LiveApi) -> httpx.Response:
    registered = api.register()
    move(api, "cancel", registered)
    return move(api, "cancel", registered)


def bulk(api: LiveApi, action: str, chosen: dict[str, object]) -> httpx.Response:
    return api.http.post("/deliveries/bulk", json={"action": action, "filter": chosen, "dry_run": False})


def cancelled_when_done(api: LiveApi) -> httpx.Response:
    move(api, "cancel", api.register())
    [operation] = api.http.get("/operations").json()["operations"]
    return api.http.post(f"/operations/{operation['id']}/cancel")


def not_ready(api: LiveApi) -> httpx.Response:
    api.execute(OLDER)
    try:
        return api.http.get("/readyz")
    finally:
        api.execute(NEWEST)


OWN: dict[tuple[str, int, str], Provoke] = {
    ("create_user", 409, "taken"): taken,
    ("create_user", 409, "still_running"): still_running,
    ("create_user", 422, "invalid"): lambda api: api.register(full_name=" "),
    ("create_user", 422, "key_reused"): key_reused,
    ("get_user", 404, "no_user"): lambda api: api.http.get("/users/4711"),
    ("get_deliveries", 404, "no_user"): lambda api: api.http.get("/users/4711/deliveries"),
    ("retry_delivery", 404, "no_delivery"): lambda api: api.http.post(f"/deliveries/{EVENT_ID}/audit_log/retry"),
    ("retry_delivery", 409, "pending"): retried_when_pending,
    ("cancel_delivery", 404, "no_delivery"): lambda api: api.http.post(f"/deliveries/{EVENT_ID}/audit_log/cancel"),
    ("cancel_delivery", 409, "cancelled"): cancelled_twice,
    ("confirm_delivery", 404, "no_delivery"): lambda api: api.http.post(f"/deliveries/{EVENT_ID}/audit_log/confirm"),
    ("confirm_delivery", 409, "pending"): lambda api: move(api, "confirm", api.register()),
    ("move_deliveries", 404, "no_user"): lambda api: bulk(api, "cancel", {"email": "nobody@example.com"}),
    ("move_deliveries", 409, "no_state"): lambda api: bulk(api, "cancel", {"state": ["failed"]}),
    ("move_deliveries", 409, "no_since"): lambda api: bulk(api, "replay", {"subscription": ["audit_log"]}),
    ("show_operation", 404, "no_operation"): lambda api: api.http.get("/operations/4711"),
    ("cancel_operation", 404, "no_operation"): lambda api: api.http.post("/operations/4711/cancel"),
    ("cancel_operation", 409, "done"): cancelled_when_done,
    ("show_event", 404, "no_event"): lambda api: api.http.get(f"/events/{EVENT_ID}"),
    ("readyz", 503, "not_ready"): not_ready,
}
"""How to provoke each error of an operation's own."""


def crashed(api: LiveApi) -> httpx.Response:
    with api.failing("users"):
        return api.register()


ANYWHERE: dict[str, Provoke] = {
    "Forbidden": lambda api: api.http.post("/deliveries/bulk", headers={"Origin": "https://other.example"}, json={}),
    "ContentTooLarge": lambda api: api.register(full_name=70_000 * "x"),
    "UnsupportedMediaType": lambda api: api.http.post("/users", json=MAYA, headers={"Content-Encoding": "gzip"}),
    "UnprocessableContent": lambda api: api.http.get("/users?emial=maya@example.com"),
    "InternalServerError": crashed,
}
"""How to provoke an error that any operation may answer, on a path where it is described so."""

BYTES = {
    "BadRequest": b"Hello?\r\n\r\n",
    "RequestTimeout": HEAD,
    "RequestHeaderFieldsTooLarge": HEAD + b"X: " + 70_000 * b"x",
    "ServiceUnavailable": b"GET /users HTTP/1.1\r\nHost: herald\r\nConnection: close\r\n\r\n",
}
"""What to send to an API whose database is away."""

RESPONSES: dict[str, dict[str, Any]] = DOCUMENT["components"]["responses"]


@pytest.fixture(scope="module")
def away() -> Iterator[Api]:
    """An API that doesn't wait for slow clients, without a database."""
    with users_api(NOWHERE, REQUEST_TIMEOUT=1) as api:
        yield api


def test_every_example_of_an_error_is_provoked() -> None:
    described = {
        (operation.name, status, name)
        for operation in OPERATIONS.values()
        for status in operation.statuses()
        if "$ref" not in operation.description["responses"][str(status)] and status >= 400
        for name in operation.content(status)[1]["examples"]
    }
    assert described == set(OWN)
    assert set(RESPONSES) == set(ANYWHERE) | set(BYTES)


@pytest.mark.parametrize("key", OWN, ids=lambda key: "-".join(map(str, key)))
def test_an_error_of_an_operation_is_answered_as_documented(api: LiveApi, key: tuple[str, int, str]) -> None:
    name, status, example = key
    operation = OPERATIONS[name]

    answer = OWN[key](api)

    assert answer.status_code == status, answer.text
    assert_documented(operation, answer)
    assert answer.json() == operation.content(status)[1]["examples"][example]["value"]


@pytest.mark.parametrize("name", ANYWHERE)
def test_an_error_of_any_operation_is_answered_as_documented(api: LiveApi, name: str) -> None:
    answer = ANYWHERE[name](api)

    assert_documented(operation_of(answer), answer)
    assert answer.json() == example_of(name)


@pytest.mark.parametrize("name", BYTES)
def test_an_error_of_the_connection_is_answered_as_documented(away: Api, name: str) -> None:
    answer = parsed(answers(away.connect(BYTES[name])))

    assert_documented(OPERATIONS["create_user"], answer)
    assert answer.json() == example_of(name)


def example_of(name: str) -> Any:
    [content] = RESPONSES[name]["content"].values()
    return content["examples"]["example"]["value"]


def operation_of(answer: httpx.Response) -> Operation:
    method, path = answer.request.method.lower(), answer.request.url.path
    return next(each for each in OPERATIONS.values() if (each.method, each.path) == (method, path))


def parsed(answer: bytes) -> httpx.Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *headers = head.decode().splitlines()
    named = dict(header.split(": ", 1) for header in headers)
    return httpx.Response(int(line.split()[1]), headers=named, content=body)


def move(api: LiveApi, verb: str, registered: httpx.Response) -> httpx.Response:
    shown = api.http.get(f"{registered.headers['location']}/deliveries").json()["deliveries"]
    event = next(each["event_id"] for each in shown if each["subscription"] == "audit_log")
    return api.http.post(f"/deliveries/{event}/audit_log/{verb}")
