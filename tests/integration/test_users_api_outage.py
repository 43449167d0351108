"""PostgreSQL goes away under a running users-api, and comes back. Each test has a server of its own to abuse."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict
from tests.patience import PATIENCE, SLACK

from contracts import UserRegistered
from devstack.ports import free_port
from devstack.postgres import Postgres
from devstack.processes import Process
from messaging.process.migrate import migrate
from messaging.publishing.switches import effects_of
from users_api import MIGRATIONS

from .live_api import MAYA, is_problem, serving

USERS_API = str(Path(sys.executable).with_name("users-api"))


SOON = 2 + SLACK
"""users-api waits 1.5 s for PostgreSQL; without a limit it would wait for ever."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    """A PostgreSQL with users-api's tables."""
    postgres = Postgres(tmp_path / "postgres", durable=False)
    postgres.start()
    migrate(postgres.url(), service="users_api", packages=MIGRATIONS)
    yield postgres
    thaw(postgres)
    postgres.stop()


@pytest.fixture(autouse=True)
def log() -> Iterator[list[EventDict]]:
    """What users-api logs."""
    with capture_logs() as lines:
        yield lines


def freeze(postgres: Postgres) -> None:
    """As a hung machine: connections stay open, new ones are accepted by the kernel, nobody answers."""
    for pid in postgres.pids:
        os.kill(pid, signal.SIGSTOP)


def thaw(postgres: Postgres) -> None:
    for pid in postgres.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def register(http: httpx.Client, name: str) -> httpx.Response:
    return http.post("/users", json=MAYA | {"email": f"{name}@example.com"})


def timed(ask: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return ask(), time.monotonic() - began


def users(postgres: Postgres) -> list[str]:
    with psycopg.connect(postgres.url()) as connection:
        return [email for (email,) in connection.execute("SELECT email FROM users ORDER BY id")]


def deliveries(postgres: Postgres) -> int:
    with psycopg.connect(postgres.url()) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM deliveries").fetchall()
    return int(count)


def recovers(http: httpx.Client) -> bool:
    """Tell whether users can be registered again, as a client finds out that tries again and again."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if register(http, "recovered").status_code == 201:
            return True
        time.sleep(0.05)
    return False


def assert_unavailable(http: httpx.Client) -> None:
    """Ask everything at once, and more than there are connections."""
    registrations = [partial(register, http, f"nobody{number}") for number in range(15)]
    reads = [partial(http.get, path) for path in ("/users", "/users/1", "/users/1/deliveries")]
    with ThreadPoolExecutor(20) as people:
        readiness, metrics = people.submit(timed, lambda: http.get("/readyz")), people.submit(http.get, "/metrics")
        for answer, seconds in people.map(timed, [*registrations, *reads]):
            assert is_problem(answer, 503)
            assert answer.headers["retry-after"] == "2"
            assert "Try again" in answer.json()["detail"]
            assert seconds < SOON
    assert_says_it_is_not_ready(*readiness.result())
    assert metrics.result().status_code == 200, "metrics matter most when something is wrong"
    assert "herald_deliveries{" not in metrics.result().text, "nobody knows"
    answer, seconds = timed(lambda: http.get("/livez"))
    assert answer.status_code == 200
    assert seconds < SOON


def assert_says_it_is_not_ready(readiness: httpx.Response, seconds: float) -> None:
    assert is_problem(readiness, 503)
    assert readiness.headers["retry-after"] == "2"
    assert readiness.json()["checks"].keys() == {"postgresql", "migrations"}
    assert "ok" not in readiness.json()["checks"].values()
    assert seconds < SOON


def test_while_postgresql_is_down_the_answer_is_503_soon_and_later_it_works_again(
    server: Postgres,
) -> None:
    with serving(server.url()) as http:
        assert register(http, "before").status_code == 201
        assert 'herald_deliveries{state="pending",subscription="audit_log"} 1.0' in http.get("/metrics").text

        server.stop()
        assert_unavailable(http)

        server.start()
        assert recovers(http)
        assert http.get("/readyz").status_code == 200
    assert users(server) == ["before@example.com", "recovered@example.com"]


def test_while_postgresql_hangs_the_answer_is_503_and_later_it_works_again(
    server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(server.url()) as http:
        assert register(http, "before").status_code == 201

        freeze(server)
        assert_unavailable(http)

        thaw(server)
        assert recovers(http)
        assert http.get("/readyz").status_code == 200
    gc.collect()
    assert "never retrieved" not in caplog.text
    registered = users(server)
    assert registered[0] == "before@example.com"
    assert registered[-1] == "recovered@example.com"
    assert len(registered) <= 2 + 3, "of those who were told no, only whose group was on its way may be registered"
    assert deliveries(server) == len(effects_of(UserRegistered)) * len(registered), "with all that belongs to it"


@contextmanager
def frozen(postgres: Postgres) -> Iterator[None]:
    freeze(postgres)
    try:
        yield
    finally:
        thaw(postgres)


@contextmanager
def locked(postgres: Postgres) -> Iterator[None]:
    """As an operator's ALTER TABLE that takes its time."""
    with psycopg.connect(postgres.url()) as connection:
        connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("pause", [0.9, 1.2])
@pytest.mark.parametrize("paused", [frozen, locked])
def test_a_pause_of_postgresql_that_is_shorter_than_the_wait_costs_no_request(
    server: Postgres, paused: Callable[[Postgres], AbstractContextManager[None]], pause: float
) -> None:
    """Requests come all the time. None of them waits for longer than the pause, so none has waited for too long."""
    answers: list[tuple[httpx.Response, float]] = []
    over = threading.Event()
    numbers = itertools.count()

    def come(http: httpx.Client) -> None:
        while not over.is_set():
            number = next(numbers)
            ask = partial(register, http, f"user{number}") if number % 3 else partial(http.get, "/users/1")
            answers.append(timed(ask))
            time.sleep(0.1)

    with serving(server.url()) as http, ThreadPoolExecutor(20) as people:
        assert register(http, "before").status_code == 201
        coming = [people.submit(come, http) for _ in range(20)]
        with paused(server):
            time.sleep(pause)
        over.set()
        for each in coming:
            each.result()

    hasty = [(answer.text, seconds) for answer, seconds in answers if answer.status_code >= 500 and seconds < 1.3]
    assert not hasty, "who is answered 503 has waited for 1.5 s"
    assert max(seconds for _, seconds in answers) > pause / 2, "it was paused, or this proves nothing"
    if max(seconds for _, seconds in answers) < 1.4:  # on a machine that doesn't pause by itself as well
        assert {answer.status_code for answer, _ in answers} == {200, 201}


def test_it_starts_without_postgresql_and_serves_as_soon_as_that_is_there(server: Postgres) -> None:
    server.stop()
    with serving(server.url()) as http:
        assert_unavailable(http)

        server.start()

        assert recovers(http)


def test_a_restart_of_postgresql_costs_no_request(server: Postgres) -> None:
    with serving(server.url()) as http:
        with ThreadPoolExecutor(10) as people:  # so that there are several connections
            assert [each.status_code for each in people.map(partial(register, http), "abcdefghij")] == 10 * [201]

        server.restart()

        assert [register(http, name).status_code for name in "klmnopqrst"] == 10 * [201]


def test_before_the_migrations_it_is_not_ready_and_says_what_to_run(server: Postgres) -> None:
    server.create_database("empty")
    with serving(server.url("empty")) as http:
        answer = http.get("/readyz")

        assert is_problem(answer, 503)
        checks = answer.json()["checks"]
        assert checks["postgresql"] == "ok"
        assert "users_0003" in checks["migrations"]
        assert "Run: users-api migrate" in checks["migrations"]
        assert http.get("/livez").status_code == 200
        assert is_problem(register(http, "nobody"), 503)

        migrate(server.url("empty"), service="users_api", packages=MIGRATIONS)

        assert http.get("/readyz").status_code == 200
        assert register(http, "maya").status_code == 201


def test_the_real_process_serves_without_redis_and_stops_in_order(postgres: Postgres, users_database: str) -> None:
    """No REDIS_URL in its environment, so it can't even know where Redis would be."""
    port = free_port()
    environment = {"DATABASE_URL": users_database, "PORT": str(port), "LOG_FORMAT": "json"}
    lines: list[str] = []
    process = Process("users-api", [USERS_API, "serve"], output=lines.append, env=environment)
    process.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http:
            until_answers(http, process)
            assert http.get("/readyz").json()["status"] == "ready"
            assert register(http, "maya").status_code == 201
            assert len(http.get("/users/1/deliveries").json()["deliveries"]) == len(effects_of(UserRegistered))
        process.send(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
    assert any('"users.registered"' in line for line in lines)
    assert not any("maya@example.com" in line for line in lines)
    assert not any("Traceback" in line for line in lines)


def until_answers(http: httpx.Client, process: Process) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.running and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            http.get("/livez")
            return
        time.sleep(0.02)
    raise AssertionError("users-api serve did not start")


def test_serve_on_a_port_that_is_taken_ends_with_an_error(users_database: str) -> None:
    with serving(users_database) as http:
        environment = {"DATABASE_URL": users_database, "PORT": str(http.base_url.port)}
        done = subprocess.run([USERS_API, "serve"], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "address already in use" in done.stderr
