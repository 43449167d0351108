"""What is said of attempts that didn't succeed: over HTTP, and by `herald user` and `herald events show`."""

import json
from typing import Any
from uuid import UUID

import pytest
from tests.integration.conftest import RelayParts

from contracts import RetryPolicy

from .conftest import QUICK_SUBSCRIPTIONS, Subscriptions
from .herald_cli import Terminal, herald, rows
from .live_api import LiveApi
from .test_attempts import again
from .test_herald_deliveries import register
from .users_cli import printed

PATIENT = RetryPolicy(max_attempts=300, first_delay=0.01, max_delay=0.05)


@pytest.fixture
def subscriptions() -> Subscriptions:
    return tuple(each.model_copy(update={"retry": PATIENT}) for each in QUICK_SUBSCRIPTIONS)


def tried(relay: RelayParts, event: UUID, times: int) -> None:
    """Let this many attempts of a delivery end without success, and queue the next one."""
    for number in range(1, times + 1):
        relay.tell(event, "started", number)
        relay.tell(event, "retry", number, error=f"busy {number}")
        again(relay)


def write(api: LiveApi, number: int) -> str:
    """Write attempts of a user's audit entry, the last of them the `number`th, and return the event's id."""
    api.register()
    [row] = api.rows("SELECT event_id FROM deliveries WHERE subscription = 'audit_log'")
    api.execute(
        "INSERT INTO attempts SELECT %s, 'audit_log', mod(number, 10), number, 1, number, now(), now(), now(), 'retry',"
        " 'busy ' || number FROM generate_series(greatest(%s::int - 9, 1), %s::int) AS number",
        *(row["event_id"], number, number),
    )
    return str(row["event_id"])


@pytest.mark.parametrize(("number", "omitted"), [(0, 0), (3, 0), (10, 0), (11, 1), (25, 15)])
def test_an_event_and_a_user_show_the_last_attempts_and_how_many_came_before(
    api: LiveApi, number: int, omitted: int
) -> None:
    event = write(api, number)
    for path in (f"/events/{event}", "/users/1/deliveries"):
        shown: dict[str, Any] = {each["subscription"]: each for each in api.http.get(path).json()["deliveries"]}

        assert (shown["welcome_email"]["history"], shown["welcome_email"]["history_omitted"]) == ([], 0)
        assert shown["audit_log"]["history_omitted"] == omitted
        found = [(each["generation"], each["number"], each["error"]) for each in shown["audit_log"]["history"]]
        assert found == [(1, each, f"busy {each}") for each in range(omitted + 1, number + 1)]


def test_a_users_time_line_has_every_attempt_also_after_a_success(
    users_database: str, relay: RelayParts, queued: UUID
) -> None:
    register(users_database, 1, "maya@example.com")
    tried(relay, queued, 2)
    relay.tell(queued, "succeeded", 3)

    found = rows(printed(herald("user", "1", DATABASE_URL=users_database)))

    steps = [(each["happened"], each["details"]) for each in found if each["what"] == "audit_log"][1:]
    assert steps == [
        ("queued", ""),
        ("started", "attempt 1"),
        ("retry", "busy 1"),
        ("queued", ""),
        ("started", "attempt 2"),
        ("retry", "busy 2"),
        ("queued", ""),
        ("started", "attempt 3"),
        ("succeeded", ""),
    ]


@pytest.mark.parametrize("outcome", ["failed", "uncertain"])
def test_a_last_attempt_is_on_the_time_line_once(
    users_database: str, relay: RelayParts, queued: UUID, outcome: Any
) -> None:
    register(users_database, 1, "maya@example.com")
    relay.tell(queued, outcome, error="no")

    found = rows(printed(herald("user", "1", DATABASE_URL=users_database)))

    steps = [(each["happened"], each["details"]) for each in found if each["what"] == "audit_log"][1:]
    assert steps == [("queued", ""), ("started", "attempt 1"), (outcome, "no")]


def test_what_waits_for_its_next_attempt_says_its_last_error_once(
    users_database: str, relay: RelayParts, queued: UUID
) -> None:
    register(users_database, 1, "maya@example.com")
    relay.tell(queued, "retry", error="busy", after=600)

    found = rows(printed(herald("user", "1", DATABASE_URL=users_database)))

    steps = [(each["happened"], each["details"]) for each in found if each["what"] == "audit_log"][1:]
    assert steps == [("queued", ""), ("started", "attempt 1"), ("retry", "busy"), ("retrying: due", "")]


def test_older_attempts_are_a_number(users_database: str, relay: RelayParts, queued: UUID) -> None:
    register(users_database, 1, "maya@example.com")
    tried(relay, queued, 12)

    lines = printed(herald("user", "1", DATABASE_URL=users_database))
    _, shown = Terminal("events", "show", str(queued), DATABASE_URL=users_database).finish()

    assert "2 attempts before the last ten, of which only the number is known" in lines
    assert "busy 2\n" not in lines
    assert "audit_log: 2 attempts before the last ten, of which only the number is known" in shown


def test_an_event_has_its_attempts(users_database: str, relay: RelayParts, queued: UUID) -> None:
    tried(relay, queued, 1)
    relay.tell(queued, "succeeded", 2)

    _, shown = Terminal("events", "show", str(queued), DATABASE_URL=users_database).finish()
    answer = json.loads(printed(herald("events", "show", str(queued), "--json", DATABASE_URL=users_database)))

    assert "Attempts that didn't succeed:" in shown
    assert "busy 1" in shown
    [entry] = [each for each in answer["deliveries"] if each["subscription"] == "audit_log"]
    assert [(each["number"], each["outcome"], each["error"]) for each in entry["history"]] == [(1, "retry", "busy 1")]
