"""The webhook beside the other effects: each registration is reported, and a dead endpoint holds up nothing else."""

from collections.abc import Callable, Iterator

import pytest

from chaos.hook import Hook
from chaos.system import System


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    hook.start()
    yield hook
    hook.stop()


def states(system: System, user: int) -> dict[str, str]:
    return {name: str(each["state"]) for name, each in system.deliveries(user).items()}


def test_a_registration_is_reported_and_a_dead_endpoint_delays_no_mail(
    start_system: Callable[..., System], hook: Hook
) -> None:
    system = start_system(**hook.settings)
    maya = system.register("maya")["id"]
    system.until(lambda: set(states(system, maya).values()) == {"succeeded"})
    delivery = system.deliveries(maya)["webhook"]
    assert hook.accepted == {delivery["event_id"]: 1}
    assert hook.users == {delivery["event_id"]: "maya@example.com"}
    assert hook.wrong == []

    hook.stop()
    ada = system.register("ada")["id"]
    away = {"welcome_email": "succeeded", "audit_log": "succeeded", "webhook": "retrying"}
    system.until(lambda: states(system, ada) == away)
    assert system.deliveries(ada)["webhook"]["last_error"].startswith(("EndpointAway: ", "NotTaken: "))

    hook.start()
    system.until(lambda: set(states(system, ada).values()) == {"succeeded"})
    assert sorted(hook.users.values()) == ["ada@example.com", "maya@example.com"]


def test_without_a_url_there_is_no_delivery_and_no_worker(system: System) -> None:
    maya = system.register("maya")["id"]
    assert "webhook" not in states(system, maya)
    assert "webhook" not in system.processes
