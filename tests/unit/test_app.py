"""What the application does when it starts and stops, without any server."""

import asyncio
import os
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from users_api.app import create_app
from users_api.dependencies import get_registrar
from users_api.registration import Answer, Registration
from users_api.schemas import NewUser


def test_what_is_under_way_is_waited_for_before_the_pool_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group whose clients have all gone is nobody's request: uvicorn doesn't wait for it."""
    app = create_app("postgresql://nobody@127.0.0.1:1/nothing")
    pool_was_closed: list[bool] = []

    class Registrations:
        async def close(self) -> None:
            pool_was_closed.append(app.state.pool.closed)

    monkeypatch.setattr("users_api.app.Registrar", lambda pool: Registrations())

    async def live() -> None:
        async with app.router.lifespan_context(app):
            assert pool_was_closed == []

    asyncio.run(live())

    assert pool_was_closed == [False]
    assert app.state.pool.closed


def test_a_test_may_replace_what_routes_depend_on() -> None:
    """As FastAPI documents it: `app.dependency_overrides`. No server, no database, no lifespan."""
    registered: list[Registration] = []

    class Recorder:
        async def register(self, registration: Registration) -> Answer:
            registered.append(registration)
            return Answer(201, {"id": 7})

    app = create_app("postgresql://nobody@127.0.0.1:1/nothing")
    app.dependency_overrides[get_registrar] = Recorder

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://herald") as http:
            body = {"email": "maya@example.com", "full_name": "Maya Chen"}
            return await http.post("/users", json=body, headers={"Idempotency-Key": "once", "X-Correlation-ID": "one"})

    answer = asyncio.run(ask())

    assert (answer.status_code, answer.headers["location"], answer.json()) == (201, "/users/7", {"id": 7})
    maya = NewUser(email="maya@example.com", full_name="Maya Chen")
    assert registered == [Registration(maya, "one", "once")]


def test_opentelemetry_is_on_only_if_the_environment_configures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    configured: list[Any] = []

    def make(**settings: Any) -> FastAPI:
        configured.append(settings["telemetry"])
        return FastAPI(**settings)

    for variable in [name for name in os.environ if "OTEL_" in name]:
        monkeypatch.delenv(variable)
    monkeypatch.setattr("users_api.app.DescribedApi", make)

    create_app("postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    create_app("postgresql://nobody@127.0.0.1:1/nothing")

    assert configured == [{"tracing": False, "metrics": False, "logs": False}, None]
