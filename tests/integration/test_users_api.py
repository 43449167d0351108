"""The HTTP interface, asked over HTTP. What PostgreSQL holds afterwards is the other half of every answer."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from contracts import SUBSCRIPTIONS
from messaging.publishing.states import FINAL

from .live_api import MAYA, LiveApi, is_problem

# Registering


def test_a_registration_is_answered_with_the_user_and_where_to_find_it(api: LiveApi) -> None:
    answer = api.register()

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["location"] == "/users/1"
    assert answer.json() == {
        "id": 1,
        "email": "maya@example.com",
        "full_name": "Maya Chen",
        "message": "User created. Background tasks scheduled.",
    }
    shown = api.http.get(answer.headers["location"]).json()
    assert datetime.fromisoformat(shown.pop("created_at")) - datetime.now(UTC) < timedelta(minutes=1)
    assert shown == {"id": 1, "email": "maya@example.com", "full_name": "Maya Chen"}


def test_a_registration_is_one_user_one_event_and_a_pending_delivery_for_each_subscription(api: LiveApi) -> None:
    api.register()

    assert api.rows("SELECT id, email, full_name FROM users") == [{"id": 1, **MAYA}]
    [event] = api.rows("SELECT id, type, subject, envelope FROM events")
    assert (event["type"], event["subject"]) == ("user_registered", "users/1")
    assert event["envelope"]["id"] == str(event["id"])
    assert event["envelope"]["data"].items() >= {"user_id": 1, **MAYA}.items()
    assert api.rows("SELECT event_id, subscription, state, attempts FROM deliveries ORDER BY subscription") == [
        {"event_id": event["id"], "subscription": name, "state": "pending", "attempts": 0}
        for name in sorted(subscription.name for subscription in SUBSCRIPTIONS)
    ]


def test_user_event_and_deliveries_are_written_by_one_transaction(api: LiveApi) -> None:
    api.register()

    writers = api.rows(
        "SELECT xmin::text FROM users UNION SELECT xmin::text FROM events UNION ALL SELECT xmin::text FROM deliveries"
    )
    assert len({row["xmin"] for row in writers}) == 1


def test_the_relay_is_woken_when_a_registration_is_committed(api: LiveApi) -> None:
    with psycopg.connect(api.database.info.dsn, autocommit=True) as relay:
        relay.execute("LISTEN herald_due")

        api.register()

        assert [each.channel for each in relay.notifies(timeout=5, stop_after=1)] == ["herald_due"]


def test_fields_nobody_asked_for_are_ignored(api: LiveApi) -> None:
    assert api.register(id=77, role="admin", created_at=None).json()["id"] == 1


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("Maya@EXAMPLE.com", "Maya@example.com"),
        (" maya@example.com ", "maya@example.com"),
        ("žofie@example.com", "žofie@example.com"),
        ("maya@BÜCHER.example", "maya@bücher.example"),
        ("maya@xn--bcher-kva.example", "maya@bücher.example"),
        ("rene\u0301@example.com", "ren\u00e9@example.com"),
    ],
)
def test_an_email_address_is_normalised(api: LiveApi, sent: str, stored: str) -> None:
    assert api.register(email=sent).json()["email"] == stored
    assert api.rows("SELECT email FROM users") == [{"email": stored}]


@pytest.mark.parametrize(
    "name", ["  Maya Chen\n", "Żółć Ñandú", "李", "O'Brien; DROP TABLE users", "M" * 200, "😀" * 200]
)
def test_a_name_may_be_anything_readable_and_is_trimmed(api: LiveApi, name: str) -> None:
    assert api.register(full_name=name).json()["full_name"] == name.strip()
    assert api.rows("SELECT full_name FROM users") == [{"full_name": name.strip()}]


@pytest.mark.parametrize("again", ["maya@example.com", "MAYA@example.com", "Maya@Example.COM"])
def test_an_address_registers_once_whatever_its_case(api: LiveApi, again: str) -> None:
    api.register()

    answer = api.register(email=again, full_name="Someone Else")

    assert is_problem(answer, 409)
    assert api.counts() == (1, 1, 2)


def test_of_many_registrations_of_one_address_at_once_one_wins(api: LiveApi) -> None:
    with ThreadPoolExecutor(10) as people:
        answers = list(people.map(lambda _: api.register().status_code, range(10)))

    assert sorted(answers) == [201] + 9 * [409]
    assert api.counts() == (1, 1, 2)


# All or nothing


@pytest.mark.parametrize("table", ["users", "events", "deliveries"])
@pytest.mark.parametrize("timing", ["BEFORE INSERT", "AFTER INSERT"])
def test_when_any_part_cannot_be_written_or_committed_nothing_is(api: LiveApi, table: str, timing: str) -> None:
    with api.failing(table, timing):
        answer = api.register()

    assert is_problem(answer, 500)
    assert api.counts() == (0, 0, 0)
    assert api.register().status_code == 201


def test_a_postgresql_that_is_read_only_is_not_there_yet(api: LiveApi) -> None:
    """A standby that isn't promoted, or a primary that was demoted, behind the address of the real one."""
    with api.failing("users", how="RAISE EXCEPTION USING ERRCODE = '25006'"):
        answer = api.register()

    assert is_problem(answer, 503)
    assert api.register().status_code == 201


@pytest.mark.parametrize("table", ["events", "deliveries"])
def test_when_the_connection_dies_half_way_nothing_is_written_and_the_client_may_ask_again(
    api: LiveApi, table: str
) -> None:
    with api.failing(table, how="PERFORM pg_terminate_backend(pg_backend_pid())"):
        answer = api.register()

    assert is_problem(answer, 503)
    assert answer.headers["retry-after"] == "2"
    assert api.counts() == (0, 0, 0)
    assert api.register().status_code == 201


def test_a_crash_is_logged_once_and_counted_and_the_client_learns_nothing_about_the_cause(api: LiveApi) -> None:
    before = crashes(api)

    with api.failing("users", how="RAISE 'the cause'"):
        answer = api.register()

    assert "the cause" not in answer.text
    assert [each["event"] for each in api.log] == ["request.crashed"]
    assert crashes(api) == before + 1


def crashes(api: LiveApi) -> float:
    name = 'herald_http_requests_total{method="POST",status="500"} '
    return sum(float(line.removeprefix(name)) for line in metrics(api) if line.startswith(name))


def metrics(api: LiveApi) -> list[str]:
    answer = api.http.get("/metrics")
    assert answer.status_code == 200
    return answer.text.splitlines()


# What is refused


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
        ("POST", f"/deliveries/{uuid4()}/audit_log/retry", 404),
        ("POST", f"/deliveries/{uuid4()}/audit%00log/retry", 422),
    ],
)
def test_what_is_not_there_is_a_problem(api: LiveApi, method: str, path: str, status: int) -> None:
    assert is_problem(api.http.request(method, path), status)


@pytest.mark.parametrize(("method", "path", "allowed"), [("PUT", "/users", "POST"), ("DELETE", "/users/1", "GET")])
def test_a_method_that_is_not_allowed_is_told_which_is(api: LiveApi, method: str, path: str, allowed: str) -> None:
    answer = api.http.request(method, path)

    assert is_problem(answer, 405)
    assert allowed in answer.headers["allow"]


# Reading


def test_users_come_in_pages_without_a_gap_or_a_repeat(api: LiveApi) -> None:
    for number in range(5):
        api.register(email=f"user{number}@example.com")

    pages: list[dict[str, Any]] = [api.http.get("/users", params={"limit": 2}).json()]
    while pages[-1]["next"]:
        pages.append(api.http.get("/users", params={"limit": 2, "cursor": pages[-1]["next"]}).json())

    assert [[user["email"] for user in page["users"]] for page in pages] == [
        ["user0@example.com", "user1@example.com"],
        ["user2@example.com", "user3@example.com"],
        ["user4@example.com"],
    ]
    assert pages[-1]["next"] is None


def test_a_page_that_is_just_full_is_the_last(api: LiveApi) -> None:
    assert api.http.get("/users").json() == {"users": [], "next": None}
    api.register()

    page = api.http.get("/users", params={"limit": 1}).json()

    assert ([user["id"] for user in page["users"]], page["next"]) == ([1], None)


@pytest.mark.parametrize("limit", ["0", "-1", "201", "abc", "1e1", "", "9" * 30])
def test_a_limit_is_from_1_to_200(api: LiveApi, limit: str) -> None:
    assert is_problem(api.http.get("/users", params={"limit": limit}), 422)


@pytest.mark.parametrize("cursor", ["", "x", "abc", "\0", "é", "LTE=", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ==", "x" * 9_000])
def test_a_cursor_that_is_not_ours_is_refused(api: LiveApi, cursor: str) -> None:
    assert is_problem(api.http.get("/users", params={"cursor": cursor}), 422)


# Deliveries


def test_anyone_can_see_what_became_of_a_registration(api: LiveApi) -> None:
    api.register()
    api.register(email="other@example.com")
    set_state(api, "welcome_email", "failed", last_error="550 no such user", attempts=3)

    answer = api.http.get("/users/1/deliveries")

    assert answer.status_code == 200
    [audit, email] = answer.json()["deliveries"]
    assert audit.items() >= {"subscription": "audit_log", "state": "pending", "attempts": 0, "last_error": None}.items()
    assert email.items() >= {"subscription": "welcome_email", "state": "failed", "attempts": 3}.items()
    assert email["last_error"] == "550 no such user"
    times = ("created_at", "due_at", "queued_at", "started_at", "finished_at")
    assert [bool(audit[each]) for each in times] == [True, True, False, False, False]
    assert [bool(email[each]) for each in times] == [True, False, True, True, True]
    assert {audit["event_type"], email["event_type"]} == {"user_registered"}


@pytest.mark.parametrize("state", ["failed", "uncertain", "cancelled"])
def test_a_dead_letter_lives_again_with_all_its_attempts_in_a_new_generation(api: LiveApi, state: str) -> None:
    api.register()
    set_state(api, "welcome_email", state, attempts=3, crashes=1)

    answer = retry(api, "welcome_email")

    assert answer.status_code == 202
    assert answer.json() == {"event_id": event_id(api), "subscription": "welcome_email", "state": "pending"}
    wanted = "state, generation, attempts, crashes, finished_at, due_at <= now() AS due"
    assert api.rows(f"SELECT {wanted} FROM deliveries WHERE subscription = 'welcome_email'") == [
        {"state": "pending", "generation": 1, "attempts": 0, "crashes": 0, "finished_at": None, "due": True}
    ]


@pytest.mark.parametrize("state", ["pending", "succeeded"])
def test_only_a_dead_letter_can_be_retried(api: LiveApi, state: str) -> None:
    api.register()
    set_state(api, "welcome_email", state)

    answer = retry(api, "welcome_email")

    assert is_problem(answer, 409)
    assert state in answer.json()["detail"]
    assert api.rows("SELECT DISTINCT generation FROM deliveries") == [{"generation": 0}]


def test_a_delivery_that_does_not_exist_cannot_be_retried(api: LiveApi) -> None:
    api.register()
    assert is_problem(retry(api, "webhook"), 404)


def test_a_delivery_to_a_subscription_that_is_gone_cannot_be_retried(api: LiveApi) -> None:
    api.register()
    set_state(api, "welcome_email", "failed")
    api.execute("UPDATE deliveries SET subscription = 'renamed' WHERE subscription = 'welcome_email'")

    answer = retry(api, "renamed")

    assert is_problem(answer, 409)
    assert "The subscription renamed no longer exists" in answer.json()["detail"]
    assert api.rows("SELECT state, generation FROM deliveries WHERE subscription = 'renamed'") == [
        {"state": "failed", "generation": 0}
    ], "nobody would ever take it"


def test_a_delivery_that_waits_is_cancelled(api: LiveApi) -> None:
    api.register()

    answer = cancel(api, "welcome_email")

    assert answer.status_code == 202
    assert answer.json() == {"event_id": event_id(api), "subscription": "welcome_email", "state": "cancelled"}
    [audit, email] = api.http.get("/users/1/deliveries").json()["deliveries"]
    assert (audit["state"], email["state"], email["due_at"]) == ("pending", "cancelled", None)
    assert not any('state="cancelled"' in line for line in metrics(api)), "nobody needs to look at it"


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_delivery_that_has_ended_cannot_be_cancelled(api: LiveApi, state: str) -> None:
    api.register()
    set_state(api, "welcome_email", state)

    answer = cancel(api, "welcome_email")

    assert is_problem(answer, 409)
    assert answer.json()["detail"] == f"The delivery is {state}. Only one that is pending or retrying can be cancelled."


def test_a_delivery_that_does_not_exist_cannot_be_cancelled(api: LiveApi) -> None:
    api.register()
    assert is_problem(cancel(api, "webhook"), 404)


def test_a_delivery_to_a_subscription_that_is_gone_can_be_cancelled(api: LiveApi) -> None:
    api.register()
    api.execute("UPDATE deliveries SET subscription = 'renamed' WHERE subscription = 'welcome_email'")

    assert cancel(api, "renamed").status_code == 202, "nothing else would ever end it"


def set_state(api: LiveApi, subscription: str, state: str, **columns: object) -> None:
    finished = state in FINAL
    columns |= {"state": state}
    columns |= {name: datetime.now(UTC) for name in ("queued_at", "started_at", "finished_at") if finished}
    columns |= {"due_at": None} if finished else {}
    assignments = ", ".join(f"{name} = %s" for name in columns)
    api.execute(
        f"UPDATE deliveries SET {assignments} WHERE subscription = %s AND event_id = %s",
        *columns.values(),
        subscription,
        event_id(api),
    )


def event_id(api: LiveApi) -> str:
    return str(api.rows("SELECT id FROM events WHERE subject = 'users/1'")[0]["id"])


def retry(api: LiveApi, subscription: str) -> httpx.Response:
    return api.http.post(f"/deliveries/{event_id(api)}/{subscription}/retry")


def cancel(api: LiveApi, subscription: str) -> httpx.Response:
    return api.http.post(f"/deliveries/{event_id(api)}/{subscription}/cancel")


# Correlation


def correlation_ids(api: LiveApi) -> list[str]:
    return [row["envelope"]["correlationid"] for row in api.rows("SELECT envelope FROM events ORDER BY recorded_at")]


def test_a_given_correlation_id_goes_into_the_envelope_and_back_to_the_client(api: LiveApi) -> None:
    answer = api.http.post("/users", json=MAYA, headers={"X-Correlation-ID": "order-42"})

    assert answer.headers["x-correlation-id"] == "order-42"
    assert correlation_ids(api) == ["order-42"]


def test_each_registration_without_a_correlation_id_gets_one_of_its_own(api: LiveApi) -> None:
    answers = [api.register(email=f"user{number}@example.com") for number in range(2)]

    assert correlation_ids(api) == [answer.headers["x-correlation-id"] for answer in answers]
    assert len(set(correlation_ids(api))) == 2


@pytest.mark.parametrize("given", [b"", b"two words", b"c" * 129, "é".encode(), b"\xff"])
@pytest.mark.parametrize(("header", "times"), [(b"X-Correlation-ID", 1), (b"Idempotency-Key", 2)])
def test_ids_in_headers_are_up_to_128_or_255_visible_ascii_characters(
    api: LiveApi, header: bytes, times: int, given: bytes
) -> None:
    answer = api.http.post("/users", json=MAYA, headers={header: given * times})

    assert is_problem(answer, 422)
    assert header.decode() in answer.json()["detail"]
    assert api.counts() == (0, 0, 0)


@pytest.mark.parametrize(("header", "longest"), [("X-Correlation-ID", 128), ("Idempotency-Key", 255)])
def test_ids_in_headers_are_documented_with_their_limit(api: LiveApi, header: str, longest: int) -> None:
    assert api.http.post("/users", json=MAYA, headers={header: "c" * longest}).status_code == 201

    parameters = api.http.get("/openapi.json").json()["paths"]["/users"]["post"]["parameters"]
    [documented] = [each for each in parameters if each["name"] == header]
    assert (documented["in"], documented["required"]) == ("header", False)
    assert documented["schema"]["maxLength"] == longest


# Operating it


def test_the_log_tells_of_a_registration_without_naming_anyone(api: LiveApi) -> None:
    api.http.post("/users", json=MAYA, headers={"X-Correlation-ID": "order-42"})
    api.register()
    api.register(email="nobody", full_name="")

    told = {"count": 1, "user_ids": (1,), "correlation_ids": ("order-42",)}
    assert api.log == [{"event": "users.registered", "log_level": "info"} | told]


def test_metrics_show_how_many_deliveries_are_in_each_state_and_for_how_long_one_has_waited(api: LiveApi) -> None:
    api.register()
    set_state(api, "audit_log", "failed")
    api.execute("UPDATE deliveries SET due_at = now() - interval '1 hour' WHERE state = 'pending'")

    lines = metrics(api)

    for state, number in {"pending": 1, "queued": 0, "running": 0, "retrying": 0, "failed": 1, "uncertain": 0}.items():
        found = sum(float(line.split()[1]) for line in lines if f'state="{state}"' in line)
        assert found == number
    overdue = {line.split()[0]: float(line.split()[1]) for line in lines if "overdue_seconds{" in line}
    assert 3600 <= overdue.pop('herald_delivery_overdue_seconds{subscription="welcome_email"}') < 3700
    assert overdue == {'herald_delivery_overdue_seconds{subscription="audit_log"}': 0}


@pytest.mark.parametrize(("path", "says"), [("/docs", "swagger"), ("/openapi.json", '"/users/{user_id}/deliveries"')])
def test_the_api_describes_itself(api: LiveApi, path: str, says: str) -> None:
    answer = api.http.get(path)
    assert answer.status_code == 200
    assert says in answer.text


def test_it_is_alive_and_ready(api: LiveApi) -> None:
    assert api.http.get("/livez").json() == {"status": "alive"}
    assert api.http.get("/readyz").json()["checks"] == {"postgresql": "ok", "migrations": "ok"}


def test_it_is_ready_on_a_database_that_is_newer_than_itself_as_in_a_rolling_upgrade(api: LiveApi) -> None:
    rename = "UPDATE users_api_revision SET version_num = %s WHERE version_num = %s"
    api.execute(rename, "users_9999", "users_0003")
    try:
        assert api.http.get("/readyz").status_code == 200
    finally:
        api.execute(rename, "users_0003", "users_9999")
