"""The web server sleeps until there is something to do, and stops as soon as it is told."""

import asyncio
import signal

import pytest
import uvicorn

from users_api.guard import Guard
from users_api.server import Server


def test_a_server_that_is_told_to_stop_stops_without_waiting_for_its_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(uvicorn.Config("nothing:here"), Guard())
    looks: list[bool] = []

    async def look(counter: int) -> bool:
        looks.append(server.should_exit)
        return server.should_exit

    async def stop_soon() -> None:
        serving = asyncio.create_task(server.main_loop())
        await asyncio.sleep(0.3)  # uvicorn's own would have looked three times by then
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(serving, 20)

    monkeypatch.setattr(server, "on_tick", look)
    monkeypatch.setattr("users_api.server.LOOK_SECONDS", 60.0)
    asyncio.run(stop_soon())

    assert looks == [False, True]


def test_a_signal_before_the_server_serves_is_not_lost() -> None:
    server = Server(uvicorn.Config("nothing:here"), Guard())

    server.handle_exit(signal.SIGTERM, None)

    assert server.should_exit
