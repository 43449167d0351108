"""Searching, grouping and bulk operations over HTTP."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from .live_api import LiveApi, is_problem
from .users_cli import printed, users_api


def bulk(api: LiveApi, action: str, chosen: dict[str, Any], dry_run: bool = False, **more: Any) -> Any:
    body = {"action": action, "filter": chosen, "dry_run": dry_run, **more}
    return api.http.post("/deliveries/bulk", json=body)


def fail(api: LiveApi, error: str = "550 5.1.1 <maya@example.com>: no") -> None:
    api.execute(
        "UPDATE deliveries SET state = 'failed', last_error = %s, due_at = NULL, finished_at = now()"
        " WHERE subscription = 'audit_log' AND state = 'pending'",
        error,
    )


def found(api: LiveApi, **query: Any) -> list[tuple[str, str]]:
    answer = api.http.get("/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return [(each["subject"], each["subscription"]) for each in answer.json()["deliveries"]]


def test_deliveries_are_found_by_address_user_and_event(api: LiveApi) -> None:
    api.register()
    api.register(email="ada@example.com")
    [event] = [row["id"] for row in api.rows("SELECT id FROM events WHERE subject = 'users/1'")]

    both = [("users/1", "welcome_email"), ("users/1", "audit_log")]
    assert found(api, email="Maya@Example.com") == both
    assert found(api, user=1) == both
    assert found(api, event=str(event)) == both
    assert found(api, email="maya@example.com", user=1, subscription="audit_log") == both[1:]
    assert found(api, email="maya@example.com", user=2) == []
    assert found(api, email="nobody@example.com") == []
    assert found(api, event=str(uuid4())) == []
    assert len(found(api)) == 4


def test_deliveries_are_found_by_when_they_ended(api: LiveApi) -> None:
    api.register()
    fail(api)
    [ended] = [row["finished_at"] for row in api.rows("SELECT finished_at FROM deliveries WHERE state = 'failed'")]
    then, later = ended.isoformat(), (ended + timedelta(seconds=1)).isoformat()

    assert found(api, finished_since=then) == [("users/1", "audit_log")]
    assert found(api, finished_since=later) == found(api, finished_until=then) == []
    assert found(api, finished_until=later) == found(api, finished_since=then, finished_until=later) != []
    groups = api.http.get("/deliveries/groups", params={"finished_since": then}).json()["groups"]
    assert [group["count"] for group in groups] == [1]
    assert api.http.get("/deliveries/groups", params={"finished_since": later}).json()["groups"] == []
    operation = bulk(api, "retry", {"finished_since": then, "finished_until": later}).json()["operation"]
    assert operation["eligible"]["count"] == 1
    meant = operation["filter"]["finished_since"], operation["filter"]["finished_until"]
    assert tuple(map(datetime.fromisoformat, meant)) == (ended, ended + timedelta(seconds=1))


def test_several_states_and_subscriptions_may_be_named(api: LiveApi) -> None:
    api.register()
    fail(api)
    query = "/deliveries?state=failed&state=pending&subscription=audit_log&subscription=welcome_email"
    assert len(api.http.get(query).json()["deliveries"]) == 2
    assert is_problem(api.http.get("/deliveries?limit=1&limit=2"), 422), "others only once"


def test_a_delivery_shows_what_it_is_about(api: LiveApi) -> None:
    api.register()
    fail(api)

    answer = api.http.get("/deliveries", params={"error": "5.1.1"}).json()

    [shown] = answer["deliveries"]
    assert (shown["subject"], shown["event_type"], shown["state"]) == ("users/1", "user_registered", "failed")
    assert answer["total"] == {"count": 1, "exact": True}
    assert (answer["next"], answer["searched_to"]) == (None, None)


def test_pages_follow_each_other(api: LiveApi) -> None:
    for number in range(3):
        api.register(email=f"user{number}@example.com")

    pages: list[list[tuple[str, str]]] = []
    cursor = None
    while cursor or not pages:
        answer = api.http.get("/deliveries", params={"limit": 4, **({"cursor": cursor} if cursor else {})}).json()
        pages.append([(each["event_id"], each["subscription"]) for each in answer["deliveries"]])
        cursor = answer["next"]

    assert [len(page) for page in pages] == [4, 2]
    every = pages[0] + pages[1]
    assert every == sorted(set(every), reverse=True)


@pytest.mark.parametrize("cursor", ["x", "MQ==", "é", "AAAA", "_" * 500])
def test_a_cursor_that_isn_t_one_is_refused(api: LiveApi, cursor: str) -> None:
    assert is_problem(api.http.get("/deliveries", params={"cursor": cursor}), 422)


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"since": "2026-11-23T16:27:01"},
        {"until": "1700000000"},
        {"finished_since": "10m"},
        {"finished_until": "1700000000"},
        {"state": "broken"},
        {"user": "0"},
        {"event": "1"},
        {"error": ""},
        {"error": "\0"},
        {"subscription": "a b"},
        {"email": "maya"},
        {"sate": "failed"},
    ],
)
def test_a_filter_that_can_t_be_read_is_refused(api: LiveApi, query: dict[str, str]) -> None:
    assert is_problem(api.http.get("/deliveries", params=query), 422)
    assert is_problem(api.http.get("/deliveries/groups", params=query), 422)


def test_a_group_leads_to_its_deliveries_and_to_a_retry(api: LiveApi) -> None:
    for number in range(3):
        api.register(email=f"user{number}@example.com")
        fail(api, f"550 5.1.1 <user{number}@example.com>: no")
    api.register()
    fail(api, "timeout after 10 s")

    [largest, other] = api.http.get("/deliveries/groups").json()["groups"]
    assert (largest["group"], largest["count"]) == ("550 5.1.1 <<address>>: no", 3)
    assert (other["group"], other["count"]) == ("timeout after <number> s", 1)

    chosen = {"group": largest["group"], "subscription": [largest["subscription"]]}
    assert len(found(api, group=largest["group"])) == 3
    dry = bulk(api, "retry", chosen, dry_run=True)
    assert dry.status_code == 200
    assert dry.json()["eligible"] == {"count": 3, "exact": True}
    assert dry.json()["operation"] is None
    assert api.rows("SELECT FROM operations") == []

    operation = bulk(api, "retry", chosen, by="ada").json()["operation"]
    assert operation == api.http.get(f"/operations/{operation['id']}").json()
    assert (operation["state"], operation["requested_by"], operation["eligible"]["count"]) == ("running", "ada", 3)
    assert operation["filter"] == dry.json()["filter"]
    assert (operation["filter"]["state"], operation["filter"]["group"]) == (["failed"], largest["group"])


def test_an_address_is_recorded_as_the_user_it_belongs_to(api: LiveApi) -> None:
    api.register()
    bulk(api, "cancel", {"email": "maya@example.com"})

    [row] = api.rows("SELECT filter::text FROM operations")

    assert "maya" not in row["filter"]
    assert api.http.get("/operations/1").json()["filter"]["user"] == 1
    assert is_problem(bulk(api, "cancel", {"email": "nobody@example.com"}), 404)


def test_an_operation_is_cancelled_once(api: LiveApi) -> None:
    bulk(api, "retry", {})
    answer = api.http.post("/operations/1/cancel", headers={"X-Operator": "ada"})
    assert (answer.status_code, answer.json()) == (202, {"id": 1, "state": "cancelled"})
    assert is_problem(api.http.post("/operations/1/cancel"), 409)
    stopped = api.http.get("/operations/1").json()
    assert stopped["finished_at"] is not None
    assert stopped["detail"] == "stopped by ada"


def test_a_schedule_that_was_run_is_an_operation(api: LiveApi) -> None:
    event = uuid4()
    api.execute(
        "INSERT INTO operations (action, schedule, filter, requested_by, state, eligible, exact, moved, finished_at)"
        " VALUES ('run', 'daily_report', jsonb_build_object('event', %s::uuid), 'ada', 'done', 1, true, 1, now())",
        event,
    )

    [operation] = api.http.get("/operations").json()["operations"]

    assert (operation["action"], operation["schedule"]) == ("run", "daily_report")
    assert operation["filter"]["event"] == str(event)
    assert is_problem(bulk(api, "run", {}), 422), "it isn't done to deliveries"


@pytest.mark.parametrize(
    ("action", "chosen", "status"),
    [
        ("retry", {"state": ["succeeded"]}, 409),
        ("cancel", {"state": ["queued"]}, 409),
        ("retry", {"subscription": ["gone"]}, 409),
        ("replay", {"subscription": ["webhook"], "since": "2026-11-01T00:00:00Z"}, 409),
        ("cancel", {"finished_since": "2026-11-01T00:00:00Z"}, 409),
        ("forget", {}, 422),
        ("retry", {"sate": ["failed"]}, 422),
        ("retry", {"since": 1}, 422),
    ],
)
def test_what_makes_no_sense_is_refused_also_dry(
    api: LiveApi, action: str, chosen: dict[str, Any], status: int
) -> None:
    assert is_problem(bulk(api, action, chosen), status)
    assert is_problem(bulk(api, action, chosen, dry_run=True), status)
    assert api.rows("SELECT FROM operations") == []


def test_what_is_done_to_one_delivery_is_recorded_with_who_did_it(api: LiveApi) -> None:
    api.register()
    [event] = [str(row["id"]) for row in api.rows("SELECT id FROM events")]
    api.http.post(f"/deliveries/{event}/audit_log/cancel", headers={"X-Operator": "ada"})
    printed(users_api("deliveries", "retry", event, "audit_log", DATABASE_URL=api.url))

    [second, first] = api.http.get("/operations").json()["operations"]

    assert (first["action"], first["requested_by"], first["state"], first["moved"]) == ("cancel", "ada", "done", 1)
    assert (first["filter"]["event"], first["filter"]["subscription"]) == (event, ["audit_log"])
    assert second["action"] == "retry"
    assert second["requested_by"], "the user of the operating system"


def test_operations_are_paged(api: LiveApi) -> None:
    for _ in range(3):
        bulk(api, "retry", {})
    first = api.http.get("/operations?limit=2").json()
    second = api.http.get("/operations", params={"limit": 2, "cursor": first["next"]}).json()
    assert [each["id"] for each in first["operations"] + second["operations"]] == [3, 2, 1]
    assert second["next"] is None


def test_an_event_is_shown_with_its_deliveries(api: LiveApi) -> None:
    api.register()
    [row] = api.rows("SELECT id, envelope FROM events")

    shown = api.http.get(f"/events/{row['id']}").json()

    assert shown["envelope"] == row["envelope"]
    assert shown["deliveries"] == api.http.get("/users/1/deliveries").json()["deliveries"]
    assert (shown["type"], shown["subject"]) == ("user_registered", "users/1")


def test_an_event_without_deliveries_is_shown(api: LiveApi) -> None:
    api.register()
    api.execute("DELETE FROM deliveries")
    [row] = api.rows("SELECT id FROM events")
    assert api.http.get(f"/events/{row['id']}").json()["deliveries"] == []
