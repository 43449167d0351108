"""Confirming over HTTP and on the command line."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from messaging.process.database import Pool

from .confirmed import delivery
from .herald_cli import herald, rows
from .live_api import LiveApi
from .searched import write_recent as write
from .users_cli import execute, printed, refused, users_api

DOUBT = "MailUncertain: no answer after the mail's content was sent"


def confirm(api: LiveApi, subscription: str = "welcome_email", **headers: str) -> httpx.Response:
    [row] = api.rows("SELECT event_id FROM deliveries WHERE subscription = 'welcome_email'")
    return api.http.post(f"/deliveries/{row['event_id']}/{subscription}/confirm", headers=headers)


@pytest.fixture
def uncertain(api: LiveApi) -> LiveApi:
    """An API with one user, whose welcome email may or may not have been sent."""
    api.register()
    api.execute(
        "UPDATE deliveries SET state = 'uncertain', attempts = 1, last_error = %s, due_at = NULL, finished_at = now()"
        " WHERE subscription = 'welcome_email'",
        DOUBT,
    )
    return api


def shown(api: LiveApi) -> dict[str, Any]:
    listed = api.http.get("/users/1/deliveries").json()["deliveries"]
    found: dict[str, Any] = next(each for each in listed if each["subscription"] == "welcome_email")
    return found


def test_an_uncertain_delivery_is_confirmed_and_says_by_whom(uncertain: LiveApi) -> None:
    answer = confirm(uncertain, **{"X-Operator": "ada"})

    assert (answer.status_code, answer.json()["state"]) == (202, "succeeded")
    found = shown(uncertain)
    assert (found["state"], found["confirmed_by"], found["last_error"]) == ("succeeded", "ada", None)
    [operation] = uncertain.http.get("/operations").json()["operations"]
    assert (operation["action"], operation["requested_by"], operation["moved"]) == ("confirm", "ada", 1)


def test_what_is_not_uncertain_is_refused(uncertain: LiveApi) -> None:
    confirm(uncertain)

    answer = confirm(uncertain)

    assert answer.status_code == 409
    assert answer.json()["detail"] == "The delivery is succeeded. Only one that is uncertain can be confirmed."
    assert confirm(uncertain, "text_message").status_code == 404


def test_a_delivery_that_nobody_confirmed_says_so(uncertain: LiveApi) -> None:
    assert shown(uncertain)["confirmed_by"] is None
    assert shown(uncertain)["last_error"] == DOUBT


def test_the_page_of_an_event_and_a_search_say_who_confirmed(uncertain: LiveApi) -> None:
    confirm(uncertain, **{"X-Operator": "ada"})

    event_id = shown(uncertain)["event_id"]
    of_event = uncertain.http.get(f"/events/{event_id}").json()["deliveries"]
    found = uncertain.http.get("/deliveries?state=succeeded").json()["deliveries"]
    assert [each["confirmed_by"] for each in of_event if each["subscription"] == "welcome_email"] == ["ada"]
    assert [each["confirmed_by"] for each in found] == ["ada"]


def test_many_are_counted_and_requested(uncertain: LiveApi) -> None:
    request = {"action": "confirm", "filter": {"subscription": ["welcome_email"]}, "dry_run": True}

    dry = uncertain.http.post("/deliveries/bulk", json=request)
    asked = uncertain.http.post("/deliveries/bulk", json=request | {"dry_run": False, "by": "ada"})

    assert (dry.status_code, dry.json()["eligible"]) == (200, {"count": 1, "exact": True})
    assert dry.json()["filter"]["state"] == ["uncertain"]
    operation = asked.json()["operation"]
    assert (asked.status_code, operation["action"], operation["requested_by"]) == (202, "confirm", "ada")


# The command line


@pytest.fixture
def doubt(users_pool: Pool) -> UUID:
    return write(users_pool, 1, "uncertain", DOUBT)


@pytest.mark.parametrize("command", [herald, users_api], ids=["herald", "users-api"])
def test_one_is_confirmed_once(command: Any, users_database: str, users_pool: Pool, doubt: UUID) -> None:
    arguments = ("deliveries", "confirm", str(doubt), "audit_log")

    said = printed(command(*arguments, DATABASE_URL=users_database))

    by = delivery(users_pool, doubt)["confirmed_by"]
    assert said == f"{doubt} audit_log: was uncertain, now succeeded, confirmed by {by}\n"
    assert execute(users_database, "SELECT action, requested_by FROM operations") == [
        {"action": "confirm", "requested_by": by}
    ]
    why = refused(command(*arguments, DATABASE_URL=users_database))
    assert why == "The delivery is succeeded. Only one that is uncertain can be confirmed."
    assert "There is no delivery" in refused(command(*arguments[:3], "text_message", DATABASE_URL=users_database))


def test_lists_and_the_time_line_say_who_confirmed(users_database: str, users_pool: Pool, doubt: UUID) -> None:
    printed(herald("deliveries", "confirm", str(doubt), "audit_log", DATABASE_URL=users_database))
    said = f"confirmed by {delivery(users_pool, doubt)['confirmed_by']}"

    [listed] = rows(
        printed(herald("deliveries", "list", f"--event={doubt}", "--state=succeeded", DATABASE_URL=users_database))
    )
    assert (listed["state"], listed["error or reference"]) == ("succeeded", said)
    assert said in printed(herald("events", "show", str(doubt), DATABASE_URL=users_database))
    assert said in printed(users_api("deliveries", "list", "--state", "succeeded", DATABASE_URL=users_database))


def test_many_are_confirmed_if_somebody_says_yes(users_database: str, doubt: UUID) -> None:
    arguments = ("deliveries", "confirm", "--all", "--subscription=audit_log")

    dry = printed(herald(*arguments, "--dry-run", DATABASE_URL=users_database))
    assert dry.startswith("1 delivery can be confirmed: ")
    assert "--state uncertain" in dry
    answer = json.loads(printed(herald(*arguments, "--dry-run", "--json", DATABASE_URL=users_database)))
    assert answer["eligible"] == {"count": 1, "exact": True}
    assert "To confirm them without being asked, add --yes" in herald(*arguments, DATABASE_URL=users_database).stderr
    assert execute(users_database, "SELECT id FROM operations") == []
