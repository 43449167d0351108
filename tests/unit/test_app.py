"""What the application does when it starts and stops, without any server."""

import asyncio

import pytest

from users_api.app import create_app


def test_what_is_under_way_is_waited_for_before_the_pool_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group whose clients have all gone is nobody's request: uvicorn doesn't wait for it."""
    app = create_app("postgresql://nobody@127.0.0.1:1/nothing")
    pool_was_closed: list[bool] = []

    class Registrations:
        async def close(self) -> None:
            pool_was_closed.append(app.state.pool.closed)

    monkeypatch.setattr("users_api.app.registrar", lambda pool: Registrations())

    async def live() -> None:
        async with app.router.lifespan_context(app):
            assert pool_was_closed == []

    asyncio.run(live())

    assert pool_was_closed == [False]
    assert app.state.pool.closed


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"])
def test_opentelemetry_is_left_to_fastapi_where_it_is_set_up(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    assert not create_app("postgresql://")._telemetry["tracing"]
    monkeypatch.setenv(variable, "anything")
    assert create_app("postgresql://")._telemetry["tracing"]
