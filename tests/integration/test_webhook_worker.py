"""The webhook with its real worker process: `dramatiq notifier.webhooks.worker`, a relay, and an endpoint."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook
from tests.conftest import user_registered
from tests.patience import until

from contracts import WEBHOOK, RetryPolicy
from devstack.processes import Process
from devstack.programs import program
from devstack.redis_server import RedisServer
from messaging import publish

from .conftest import RelayParts, Subscriptions
from .programs import run
from .scripted_http import HANG, Received, ScriptedHttpServer, answer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
QUICK = WEBHOOK.model_copy(update={"retry": RetryPolicy(max_attempts=50, first_delay=0.1, max_delay=0.3)})

GONE = answer(410, b"we have moved out")


@pytest.fixture
def subscriptions() -> Subscriptions:
    return (QUICK,)


@pytest.fixture
def endpoint() -> Iterator[ScriptedHttpServer]:
    with ScriptedHttpServer() as server:
        yield server


@pytest.fixture
def environment(endpoint: ScriptedHttpServer, effects_database: str, redis_server: RedisServer) -> dict[str, str]:
    return {
        "DATABASE_URL": effects_database,
        "REDIS_URL": redis_server.url,
        "WEBHOOK_URL": f"{endpoint.url}/in/t0ken",
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_ALLOW_PRIVATE": "yes",
        "WEBHOOK_TIMEOUT": "0.5",
    }


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """The workers that were started."""
    started = list[Process]()
    yield started
    for process in started:
        process.stop()


@pytest.fixture
def start(
    environment: dict[str, str], running_relay: None, processes: list[Process], tmp_path: Path
) -> Callable[..., Path]:
    """Start the worker, and return its log."""

    def started(**changed: str) -> Path:
        log = tmp_path / "webhook.log"
        argv = [program("dramatiq"), "notifier.webhooks.worker", "--processes", "1", "--threads", "2"]
        process = Process("webhook", argv, env={"PATH": "/usr/bin:/bin", **environment, **changed}, output=log)
        processes.append(process)
        process.start()
        return log

    return started


@pytest.fixture
def register(relay: RelayParts) -> Callable[[int], list[UUID]]:
    """Publish registrations, for the webhook alone."""

    def publish_them(number: int) -> list[UUID]:
        events = [user_registered(index) for index in range(1, number + 1)]
        with relay.pool.connection() as connection:
            connection.execute(*publish(events, subscriptions=(QUICK,)))
            connection.execute("NOTIFY herald_due")
        return [event.id for event in events]

    return publish_them


Start = Callable[..., Path]
Register = Callable[[int], list[UUID]]


def settled(relay: RelayParts, events: list[UUID], state: str) -> dict[str, Any]:
    """Wait until each delivery is in a state; return the last one."""
    until(lambda: {relay.row(event, "webhook")["state"] for event in events} == {state})
    return relay.row(events[-1], "webhook")


def ids(requests: list[Received]) -> list[UUID]:
    return [UUID(request.headers["webhook-id"]) for request in requests]


def test_each_registration_is_reported_once_and_signed(
    endpoint: ScriptedHttpServer, relay: RelayParts, start: Start, register: Register
) -> None:
    log = start()
    events = register(25)

    settled(relay, events, "succeeded")
    assert sorted(ids(endpoint.requests)) == sorted(events)
    bodies = [Webhook(SECRET).verify(request.body, request.headers) for request in endpoint.requests]
    assert {body["data"]["email"] for body in bodies} == {f"user{index}@example.com" for index in range(1, 26)}
    assert endpoint.connections <= 2
    assert "t0ken" not in log.read_text()
    assert "@example.com" not in log.read_text()


def test_after_a_failure_the_same_message_comes_again(
    endpoint: ScriptedHttpServer, relay: RelayParts, start: Start, register: Register
) -> None:
    endpoint.script = [answer(500, b"boom"), answer(302, location="http://127.0.0.1:1/"), HANG]
    log = start()
    events = register(1)

    assert settled(relay, events, "succeeded")["attempts"] == 4
    assert ids(endpoint.requests) == 4 * events
    for said in ("500 boom", "redirects aren't followed", "no answer came"):
        assert said in log.read_text()
    assert "delivery.uncertain" not in log.read_text()


def test_retry_after_says_when(
    endpoint: ScriptedHttpServer, relay: RelayParts, start: Start, register: Register
) -> None:
    calls: list[float] = []

    def script(_: Received) -> bytes:
        calls.append(time.monotonic())
        return answer(429, retry_after="2") if len(calls) == 1 else answer(200)

    endpoint.script = script
    start()
    settled(relay, register(1), "succeeded")

    first, second = calls
    assert second - first >= 2


def test_410_disables_the_endpoint_until_an_operator_enables_it(
    endpoint: ScriptedHttpServer, relay: RelayParts, start: Start, register: Register, environment: dict[str, str]
) -> None:
    endpoint.default = GONE
    log = start()
    first = register(1)
    failed = settled(relay, first, "failed")
    assert failed["attempts"] == 1
    assert "410 we have moved out" in failed["last_error"]
    assert "notifier webhook enable" in failed["last_error"]
    assert "webhook.disabled" in log.read_text()
    time.sleep(1.1)  # until the worker looks again

    later = register(20)
    assert "has been disabled since" in settled(relay, later, "failed")["last_error"]
    assert len(endpoint.requests) == 1, "a disabled endpoint isn't called"

    status = run("notifier", "webhook", "status", **environment)
    assert status.returncode == 1
    assert "127.0.0.1: disabled since" in status.stdout
    assert "t0ken" not in status.stdout + status.stderr

    endpoint.default = answer(200)
    enabled = run("notifier", "webhook", "enable", **environment)
    assert enabled.returncode == 0
    assert "users-api replay --subscription webhook --since" in enabled.stdout
    assert run("notifier", "webhook", "status", **environment).stdout == "127.0.0.1: enabled\n"
    time.sleep(1.1)
    relay.execute("UPDATE deliveries SET state = 'pending', due_at = now(), generation = generation + 1")
    relay.execute("NOTIFY herald_due")
    settled(relay, first + later, "succeeded")


def test_a_call_whose_worker_is_killed_is_made_again_with_the_same_id(
    endpoint: ScriptedHttpServer, relay: RelayParts, start: Start, register: Register, processes: list[Process]
) -> None:
    endpoint.script = [HANG]
    start(WEBHOOK_TIMEOUT="3")
    events = register(1)
    until(lambda: len(endpoint.requests) == 1)
    processes[0].kill()
    start(WEBHOOK_TIMEOUT="3")

    until(lambda: relay.row(events[0], "webhook")["state"] == "succeeded")
    assert ids(endpoint.requests) == 2 * events


def test_a_private_address_is_not_called(
    endpoint: ScriptedHttpServer, relay: RelayParts, start: Start, register: Register
) -> None:
    start(WEBHOOK_ALLOW_PRIVATE="no", WEBHOOK_URL=f"https://localhost:{endpoint.port}/")
    [event] = register(1)

    until(lambda: relay.row(event, "webhook")["attempts"] > 1)
    assert "WEBHOOK_ALLOW_PRIVATE=yes" in relay.row(event, "webhook")["last_error"]
    assert endpoint.connections == 0


@pytest.mark.parametrize("variable", ["WEBHOOK_URL", "WEBHOOK_SECRET"])
def test_without_its_settings_the_worker_ends_with_one_line(environment: dict[str, str], variable: str) -> None:
    ended = run("dramatiq", "notifier.webhooks.worker", "--processes=1", **(environment | {variable: ""}))

    assert ended.returncode == 2
    output = ended.stdout + ended.stderr
    assert [line for line in output.splitlines() if line.startswith(f"configuration: {variable}")], output
    assert "Traceback" not in output


def test_an_operator_tries_the_endpoint(endpoint: ScriptedHttpServer, environment: dict[str, str]) -> None:
    endpoint.script = [answer(200, b"welcome"), answer(401, b"who are you"), HANG]
    statuses = [run("notifier", "webhook", "test", **environment) for _ in range(3)]

    assert [each.returncode for each in statuses] == [0, 1, 1]
    assert "127.0.0.1: 200 in" in statuses[0].stdout
    assert "401" in statuses[1].stdout
    assert "who are you" in statuses[1].stdout
    assert "no answer came" in statuses[2].stderr
    received = endpoint.requests[0]
    assert Webhook(SECRET).verify(received.body, received.headers)["type"] == "test"
    assert all("t0ken" not in each.stdout + each.stderr for each in statuses)

    assert run("notifier", "webhook", "test", **(environment | {"WEBHOOK_SECRET": "x"})).returncode == 2
    private = {"WEBHOOK_ALLOW_PRIVATE": "no", "WEBHOOK_URL": f"https://localhost:{endpoint.port}/"}
    refused = run("notifier", "webhook", "test", **(environment | private))
    assert refused.returncode == 1
    assert "WEBHOOK_ALLOW_PRIVATE=yes" in refused.stderr
