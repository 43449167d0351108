"""Each pair of a producer's and a consumer's generation, as live processes.

Four generations of users-api register users in one database. One generation each of the notifier, the auditor and the
relay handles what all four published. A delivery flows if its event is of a version that the consumer knows. Any other
delivery is parked until the consumer is upgraded. The whole matrix of producers and consumers takes four systems:
in each of them every process is of another generation.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.patience import PATIENCE

from chaos.servers import Servers
from chaos.system import System
from devstack.ports import free_port
from devstack.postgres import Postgres

from .generations import CHANGES, FIRST, NEWEST, flows, version

CONSUMERS = {"welcome_email": "notifier", "audit_log": "auditor"}

PLACES = [
    {"notifier": "1.0", "auditor": "3.0", "relay": "2.0"},
    {"notifier": "1.1", "auditor": "2.0", "relay": "3.0"},
    {"notifier": "2.0", "auditor": "1.1", "relay": "1.0"},
    {"notifier": "3.0", "auditor": "1.0", "relay": "1.1"},
]
"""The generation of each process but users-api, of which all generations run."""

Delivered = dict[tuple[str, str], str]
"""Something about each delivery, by the generation of its producer and its subscription."""


def test_the_places_make_each_pair_once() -> None:
    for process in PLACES[0]:
        assert sorted(place[process] for place in PLACES) == sorted(CHANGES)


@pytest.fixture
def system(postgres: Postgres, tmp_path: Path) -> Iterator[System]:
    with Servers(tmp_path, postgres).system("versions") as system:
        yield system


@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(map("-".join, place.items())))
def test_what_the_window_promises_flows_and_all_else_is_parked_until_the_upgrade(
    place: dict[str, str], system: System, generations: dict[str, str]
) -> None:
    users = register_with_each_generation(system, generations)
    assert published_versions(system) == {producer: version(producer) for producer in CHANGES}
    deploy(system, place, generations)  # the relay then finds all four events, and packs them into one message

    expected = {(producer, name): flows(producer, place[CONSUMERS[name]]) for producer in CHANGES for name in CONSUMERS}
    system.until(lambda: system.unfinished() == 0)
    assert states(system) == {key: "succeeded" if ok else "failed" for key, ok in expected.items()}
    parked = {key: reason(key[0], place[CONSUMERS[key[1]]]) for key, ok in expected.items() if not ok}
    assert errors_in_the_list(system) == errors_in_the_api(system, users) == parked
    assert subjects(system) == {
        producer: subject(producer, place["notifier"]) for producer in CHANGES if expected[producer, "welcome_email"]
    }
    assert actions(system) == {
        producer: action(producer, place["auditor"]) for producer in CHANGES if expected[producer, "audit_log"]
    }

    mailed_before, audited_before = subjects(system), actions(system)
    upgrade(system, place, generations)

    system.until(lambda: system.unfinished() == 0)
    assert states(system) == dict.fromkeys(expected, "succeeded")
    assert subjects(system) == {producer: subject(producer, NEWEST) for producer in CHANGES} | mailed_before
    assert len(system.sink.mails) == len(CHANGES)
    assert actions(system) == {producer: action(producer, NEWEST) for producer in CHANGES} | audited_before
    assert sorted(system.audited()) == [address(producer) for producer in CHANGES]
    assert system.stop_workers() == {0}
    assert " 0 waiting," in system.run("auditor", "verify")


def register_with_each_generation(system: System, generations: dict[str, str]) -> dict[str, int]:
    """Start users-api in each generation, and register a user with it. Return the users' ids, by generation."""
    ports = {generation: free_port() for generation in CHANGES} | {FIRST: system.herald.port}
    for generation, port in ports.items():
        system.add(f"users-api-{generation}", "users-api", PORT=str(port), PYTHONPATH=generations[generation])
    users = {}
    for generation, port in ports.items():
        url = f"http://127.0.0.1:{port}"
        system.until(lambda: is_ready(url))  # noqa: B023  # called at once
        answer = httpx.post(
            f"{url}/users", json={"email": address(generation), "full_name": generation}, timeout=PATIENCE
        )
        assert answer.status_code == 201, answer.text
        users[generation] = answer.json()["id"]
    return users


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


def deploy(system: System, place: dict[str, str], generations: dict[str, str]) -> None:
    for name, generation in place.items():
        system.redirect(name, PYTHONPATH=generations[generation])
        system.processes[name].start()


def upgrade(system: System, place: dict[str, str], generations: dict[str, str]) -> None:
    """Upgrade the consumers that are behind, and replay what failed for them, as an operator does."""
    for subscription, name in CONSUMERS.items():
        if place[name] != NEWEST:
            system.processes[name].stop(timeout=PATIENCE)
            deploy(system, {name: NEWEST}, generations)
            system.run("users-api", "replay", "--subscription", subscription, "--since", "2000-01-01")


def address(producer: str) -> str:
    return f"user-{producer}@example.com"


def subject(producer: str, consumer: str) -> str:
    """Return the subject of the welcome mail."""
    return f"Welcome, {producer}{locale(producer, consumer)}"


def action(producer: str, consumer: str) -> str:
    """Return the action of the audit entry."""
    return f"user_registered{locale(producer, consumer)}"


def locale(producer: str, consumer: str) -> str:
    """Return what a consumer's own code adds: 1.0 writes no locale, and a consumer that is 1.0 reads none."""
    return "" if consumer == FIRST else f" ({'en' if producer == FIRST else 'de'})"


def reason(producer: str, consumer: str) -> str:
    """Return the `last_error` that names both versions and the remedy."""
    known = ", ".join(f"urn:herald:user_registered:{number}" for number in range(version(consumer), 0, -1))
    return (
        f"UnknownEventVersion: no model for dataschema 'urn:herald:user_registered:{version(producer)}';"
        f" known: {known}; deploy a consumer that knows it, then retry the delivery"
    )


def published_versions(system: System) -> dict[str, int]:
    rows = system.query("users", "SELECT envelope ->> 'dataschema', envelope -> 'data' ->> 'email' FROM events")
    return {email[len("user-") :].partition("@")[0]: int(schema.rpartition(":")[2]) for schema, email in rows}


def states(system: System) -> Delivered:
    rows = system.query(
        "users",
        "SELECT full_name, subscription, state FROM users"
        " JOIN events ON subject = 'users/' || users.id JOIN deliveries ON event_id = events.id",
    )
    return {(producer, subscription): state for producer, subscription, state in rows}


def errors_in_the_list(system: System) -> Delivered:
    """Return the errors that `users-api deliveries list` shows."""
    names = {f"users/{user}": name for user, name in system.query("users", "SELECT id, full_name FROM users")}
    lines = system.run("users-api", "deliveries", "list", "--json").splitlines()
    return {
        (names[delivery["subject"]], delivery["subscription"]): delivery["last_error"]
        for delivery in map(json.loads, lines)
    }


def errors_in_the_api(system: System, users: dict[str, int]) -> Delivered:
    """Return the errors of failed deliveries that the API shows."""
    return {
        (producer, name): delivery["last_error"]
        for producer, user in users.items()
        for name, delivery in system.deliveries(user).items()
        if delivery["state"] == "failed"
    }


def actions(system: System) -> dict[str, str]:
    rows = system.query("auditor", "SELECT email, action FROM audit_log")
    return {email.removeprefix("user-").partition("@")[0]: action for email, action in rows}


def subjects(system: System) -> dict[str, str]:
    return {mail["X-Recipient"].removeprefix("user-").partition("@")[0]: mail["Subject"] for mail in system.sink.mails}
