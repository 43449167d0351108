"""What is recorded of operations is shown, also where a client couldn't request it now, or a newer version wrote it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from devstack.postgres import Postgres

from .herald_cli import herald, rows
from .live_api import LiveApi, live_api
from .users_cli import printed

RECORD = (
    "INSERT INTO operations (action, filter, state, eligible, exact, moved, finished_at)"
    " VALUES (%s, %s::jsonb, 'done', 1, true, 1, now())"
)


@pytest.fixture(scope="module")
def running_api(postgres: Postgres) -> Iterator[LiveApi]:
    """users-api with its console."""
    with live_api(postgres, "test_recorded_operations", console=True) as running:
        yield running


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        ({"states": ["failed"] * 9}, {"state": ["failed"]}),
        ({"subscriptions": [str(number) for number in range(21)]}, {"subscription": [str(n) for n in range(21)]}),
        ({"subscriptions": ["no name"]}, {"subscription": ["no name"]}),
        ({"error": "x" * 501}, {"error": "x" * 501}),
        ({"group": "x" * 2251}, {"group": "x" * 2251}),
        ({"subject": "users/7", "mood": "good", "states": ["failed", "bored"]}, {"user": 7}),
    ],
    ids=["states", "subscriptions", "name", "error", "group", "newer"],
)
def test_a_recorded_filter_is_shown(api: LiveApi, recorded: dict[str, Any], shown: dict[str, Any]) -> None:
    api.execute(RECORD, "retry", json.dumps(recorded))

    [operation] = api.http.get("/operations").json()["operations"]

    assert {name: value for name, value in operation["filter"].items() if value is not None} == shown
    assert api.http.get(f"/operations/{operation['id']}").json() == operation
    for page in ("/console/operations", f"/console/operations/{operation['id']}"):
        assert api.http.get(page).status_code == 200
    [listed] = rows(printed(herald("operations", "list", DATABASE_URL=api.url)))
    assert listed["what"]


def test_an_action_of_a_newer_version_is_shown(api: LiveApi) -> None:
    api.execute("ALTER TABLE operations DROP CONSTRAINT operations_action_check")
    api.execute(RECORD, "applaud", "{}")

    [operation] = api.http.get("/operations").json()["operations"]

    assert operation["action"] == "applaud"
    assert api.http.get(f"/operations/{operation['id']}").json() == operation
    assert api.http.get(f"/console/operations/{operation['id']}").status_code == 200
