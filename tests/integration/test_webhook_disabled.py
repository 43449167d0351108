"""The switch of an endpoint: all workers see it, another URL has another, and without its database no call is made."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest
from tests.patience import PATIENCE, SLACK

from devstack.ports import free_port
from messaging.errors import Unavailable
from messaging.process.database import connect
from notifier.webhooks import disabled
from notifier.webhooks.disabled import Switch
from notifier.webhooks.errors import EndpointGone

URL = "https://hooks.example.com/t0ken"

Open = Callable[..., Switch]


@pytest.fixture
def switch(effects_database: str) -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(url: str = URL, database_url: str = effects_database) -> Switch:
            return stack.enter_context(closing(Switch(database_url, url)))

        yield opened


def test_what_one_worker_turns_off_is_off_for_all_until_it_is_enabled(
    switch: Open, effects_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disabled, "FRESH_SECONDS", 0.0)
    one, other, elsewhere = switch(), switch(), switch("https://hooks.example.com/other")
    one.require_on()
    one.turn_off("410 moved")
    other.turn_off("410 again")

    for each in (one, other):
        with pytest.raises(EndpointGone, match="notifier webhook enable") as gone:
            each.require_on()
        assert "t0ken" not in str(gone.value)
    elsewhere.require_on()

    with connect(effects_database, name="test") as connection:
        found = disabled.enable(connection, URL)
        assert found is not None
        assert found.reason == "410 moved", "the first reason stays"
        assert disabled.enable(connection, URL) is None
    other.require_on()


def test_the_database_is_asked_once_a_second(switch: Open, effects_database: str) -> None:
    off = switch()
    off.require_on()
    with psycopg.connect(effects_database) as connection:
        connection.execute("INSERT INTO webhook_endpoints VALUES (sha256(%s), now(), 'by hand')", (URL.encode(),))
    off.require_on()
    time.sleep(disabled.FRESH_SECONDS + 0.1)
    with pytest.raises(EndpointGone):
        off.require_on()


def test_without_its_database_it_is_tried_later(switch: Open) -> None:
    away = switch(database_url=f"postgresql://127.0.0.1:{free_port()}/notifier")
    began = time.monotonic()
    with pytest.raises(Unavailable, match="database"):
        away.require_on()
    with pytest.raises(Unavailable, match="410 moved, and the notifier's database"):
        away.turn_off("410 moved")
    assert time.monotonic() - began < 2 * disabled.WAIT_SECONDS + SLACK


def test_threads_do_not_wait_one_after_another_for_a_database_that_is_away(
    switch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, look = switch(database_url=f"postgresql://127.0.0.1:{free_port()}/notifier"), Switch._look
    looked: list[Switch] = []

    def counted(switch: Switch) -> None:
        looked.append(switch)
        look(switch)

    monkeypatch.setattr(disabled, "FRESH_SECONDS", PATIENCE)
    monkeypatch.setattr(Switch, "_look", counted)
    for _ in range(8):
        with pytest.raises(Unavailable, match="doesn't say whether"):
            away.require_on()

    assert looked == [away]
