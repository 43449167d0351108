"""The HTTP interface, asked over HTTP. What PostgreSQL holds afterwards is the other half of every answer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from tests.patience import PATIENCE

from contracts import UserRegistered
from messaging.publishing.switches import effects_of

from .live_api import MAYA, LiveApi, is_problem, metrics

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
        for name in sorted(effect.name for effect in effects_of(UserRegistered))
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

        assert [each.channel for each in relay.notifies(timeout=PATIENCE, stop_after=1)] == ["herald_due"]


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
