"""Herald is upgraded while users register: consumers first, as it should be, and the producer first, by mistake."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from chaos.ledger import WATCH, reckon
from chaos.load import Load
from chaos.servers import Servers
from chaos.system import System
from devstack.herald import READY
from devstack.postgres import Postgres

from .generations import NEWEST

AT_WORK = {"notifier": "deliveries.succeeded", "auditor": "deliveries.succeeded", "relay": "deliveries.enqueued"}
"""What each process logs, at LOG_LEVEL DEBUG, when it shares the work."""

DATASCHEMA = "SELECT envelope ->> 'dataschema' FROM events"
STATE_OF = "SELECT state FROM deliveries WHERE subscription = %(subscription)s"


@pytest.fixture
def system(postgres: Postgres, tmp_path: Path) -> Iterator[System]:
    """A Herald of generation 1.0, not started yet."""
    with Servers(tmp_path, postgres).system("rolling") as system:
        yield system


@pytest.fixture
def load(system: System) -> Iterator[Load]:
    """Users who register until the load is stopped. A client whose connection breaks repeats its request."""
    load = Load(system.herald.port, 100_000, 1, clients=4, per_second=40)
    yield load
    load.stop()
    load.join()


def test_consumers_then_relay_then_producer_are_upgraded_under_traffic_and_nothing_fails(
    system: System, load: Load, generations: dict[str, str]
) -> None:
    system.start()
    system.query("users", WATCH)
    load.start()
    for name, at_work in AT_WORK.items():
        add_newer(system, name, generations[NEWEST])
        system.until(lambda: at_work in system.log(f"{name}-newer"))  # noqa: B023  # called at once
        system.processes[name].stop(timeout=PATIENCE)
    system.processes["users-api"].stop(timeout=PATIENCE)
    system.redirect("users-api", PYTHONPATH=generations[NEWEST])
    system.processes["users-api"].start()
    system.until(lambda: ("urn:herald:user_registered:3",) in system.query("users", DATASCHEMA))
    load.stop()
    load.join()
    system.until(lambda: system.unfinished() == 0)
    system.stop_workers()

    ledger = reckon(system, load, {})
    assert ledger.wrong == []
    assert (ledger.duplicate_mails, ledger.failed, ledger.uncertain) == (0, 0, 0)
    assert {error for *_, error in ledger.states.values()} == {None}
    assert set(system.query("users", DATASCHEMA)) == {(f"urn:herald:user_registered:{each}",) for each in (1, 3)}


def add_newer(system: System, name: str, path: str) -> None:
    """Start one more process of a kind, of the newest generation, and wait until it is ready."""
    newer = f"{name}-newer"
    system.add(newer, name, PYTHONPATH=path, LOG_LEVEL="DEBUG")
    system.until(lambda: READY[name] in system.log(newer))


def test_after_a_producer_that_was_upgraded_first_an_operator_brings_everything_back(
    system: System, generations: dict[str, str]
) -> None:
    system.redirect("users-api", PYTHONPATH=generations[NEWEST])
    system.start()
    add_newer(system, "notifier", generations[NEWEST])  # beside the old one, at the same queue

    users = register_until_both_notifiers_had_some(system)
    system.until(lambda: system.unfinished() == 0)
    assert state_of(system, "audit_log") == {"failed": len(users)}
    mailed = len(system.sink.recipients)
    assert state_of(system, "welcome_email") == {"succeeded": mailed, "failed": len(users) - mailed}
    first, *_ = failed(system, "welcome_email")

    for name in ("notifier", "auditor"):
        system.processes[name].stop(timeout=PATIENCE)
    add_newer(system, "auditor", generations[NEWEST])
    system.run("users-api", "deliveries", "retry", first, "welcome_email")
    for subscription in ("welcome_email", "audit_log"):
        system.run("users-api", "replay", "--subscription", subscription, "--since", "2000-01-01")

    system.until(lambda: system.unfinished() == 0)
    system.run("users-api", "replay", "--subscription", "audit_log", "--since", "2000-01-01", "--succeeded")
    system.until(lambda: system.unfinished() == 0)
    assert system.states() == {"succeeded": 2 * len(users)}
    assert Counter(system.sink.recipients) == Counter(users)
    assert Counter(system.audited()) == Counter(users)
    assert system.stop_workers() == {0}
    assert " 0 waiting," in system.run("auditor", "verify")


def register_until_both_notifiers_had_some(system: System) -> list[str]:
    """Register users until the old notifier has refused an event and the new one has sent a mail. Return addresses."""
    users: list[str] = []

    def both() -> bool:
        users.append(system.register(f"user{len(users)}")["email"])
        return {"succeeded", "failed"} <= state_of(system, "welcome_email").keys()

    system.until(both)
    return users


def state_of(system: System, subscription: str) -> Counter[str]:
    return Counter(state for (state,) in system.query("users", STATE_OF, {"subscription": subscription}))


def failed(system: System, subscription: str) -> list[str]:
    """Return the events whose delivery failed, as `users-api deliveries list` shows them."""
    lines = system.run("users-api", "deliveries", "list", "--json").splitlines()
    return [each["event_id"] for each in map(json.loads, lines) if each["subscription"] == subscription]
