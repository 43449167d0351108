"""Deliveries over HTTP: what became of a registration, and another try for what failed."""

from datetime import UTC, datetime

import httpx
import pytest

from messaging.publishing.states import FINAL

from .live_api import LiveApi, is_problem, metrics


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
    assert is_problem(retry(api, "text_message"), 404)


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
    assert is_problem(cancel(api, "text_message"), 404)


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
    assert set(overdue.values()) == {0}
