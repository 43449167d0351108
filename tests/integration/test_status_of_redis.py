"""GET /status: what it says of Redis, of its queues, and of the relays and workers that are seen there."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis
from tests.integration.conftest import RelayParts
from tests.patience import SLACK, until

from contracts import SUBSCRIPTIONS
from devstack.redis_server import RedisServer
from messaging import HeraldBroker
from messaging.relay.presence import Presence
from messaging.wire import layout
from users_api import PUBLISHER
from users_api.app import create_app

from .live_api import LiveApi, running


@pytest.fixture
def seen(api: LiveApi, redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[Callable[[], dict[str, Any]]]:
    """Return what the page says of Redis."""
    with running(create_app(api.database.info.dsn, redis_url=redis_server.url)) as http:
        yield lambda: http.get("/status").json()["redis"]


Seen = Callable[[], dict[str, Any]]


def test_redis_itself_is_shown(seen: Seen, redis_client: redis.Redis) -> None:
    info = redis_client.info()

    shown = seen()

    assert (shown["fault"], shown["version"], shown["policy"]) == (None, info["redis_version"], "noeviction")
    assert shown["used_bytes"] > 100_000
    assert {each["queue"] for each in shown["queues"]} == {each.queue for each in SUBSCRIPTIONS}


def test_queues_and_what_workers_hold_are_counted(
    seen: Seen, relay: RelayParts, redis_server: RedisServer, publish_users: Callable[..., object]
) -> None:
    for _ in range(3):
        publish_users(1)
        relay.dispatcher.dispatch()
    broker = HeraldBroker(redis_server.url)
    broker.inbox("auditor").take(2)

    shown = seen()

    auditor = next(each for each in shown["queues"] if each["queue"] == "auditor")
    assert (auditor["waiting"], auditor["messages"]) == (1, 3)
    assert shown["workers"] == [{"worker": broker.broker_id, "alive": True, "holds": {"auditor": 2}}]
    broker.client.delete(layout.heartbeat_key(broker.broker_id))
    assert [each["alive"] for each in seen()["workers"]] == [False]
    broker.close()


def test_a_relay_says_that_it_lives_and_what_it_cannot_do(seen: Seen, redis_client: redis.Redis) -> None:
    presence = Presence(redis_client, PUBLISHER, "host.1")
    presence.fails("out of paper")
    presence.beat()

    [shown] = seen()["relays"]
    assert (shown["publisher"], shown["relay"], shown["alive"]) == (PUBLISHER, "host.1", True)
    assert shown["failing"] == {"MainThread": "out of paper"}
    presence.recovers()
    presence.beat()
    assert seen()["relays"][0]["failing"] == {}
    presence.leave()
    assert seen()["relays"] == []


def test_a_relay_that_died_is_shown_until_another_one_tidies_up(seen: Seen, redis_client: redis.Redis) -> None:
    dead, living = (Presence(redis_client, PUBLISHER, name) for name in ("host.1", "host.2"))
    dead.beat()
    living.beat()
    redis_client.delete(layout.relay_process_key(layout.relay_member(PUBLISHER, "host.1")))

    assert [(each["relay"], each["alive"]) for each in seen()["relays"]] == [("host.1", False), ("host.2", True)]
    living.forget_silent()
    assert [each["relay"] for each in seen()["relays"]] == ["host.2"]


def test_a_relay_registers_again_when_redis_was_wiped_or_its_keys_are_anothers(
    seen: Seen, redis_client: redis.Redis
) -> None:
    presence, key = Presence(redis_client, PUBLISHER, "host.1"), layout.relay_member(PUBLISHER, "host.1")
    presence.beat()
    redis_client.flushall()
    redis_client.lpush(layout.relay_process_key(key), "nonsense")
    redis_client.set(layout.RELAYS, "nonsense")

    presence.beat()

    assert [(each["relay"], each["alive"]) for each in seen()["relays"]] == [("host.1", True)]


@pytest.mark.usefixtures("running_relay")
def test_a_running_relay_is_there(seen: Seen) -> None:
    until(lambda: [each["alive"] for each in seen()["relays"]] == [True])


def test_keys_of_a_wrong_type_are_left_out(seen: Seen, redis_client: redis.Redis) -> None:
    redis_client.set(layout.WORKERS, "nonsense")
    redis_client.set(layout.queue_key("auditor"), "nonsense")
    redis_client.sadd(layout.RELAYS, "x/y", b"\xff")
    redis_client.set(layout.relay_process_key("x/y"), "[]")

    shown = seen()

    assert shown["fault"] is None
    assert shown["workers"] == []
    assert [(each["relay"], each["alive"]) for each in shown["relays"]] == [("y", False), ("", False)]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        (None, "REDIS_URL isn't set"),
        ("redis://127.0.0.1:1", "Redis is unreachable"),
        ("silent", "Redis is unreachable"),
    ],
)
def test_the_page_is_there_without_redis(api: LiveApi, url: str | None, fault: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and never answers
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}" if url == "silent" else url
        with running(create_app(api.database.info.dsn, redis_url=address)) as http:
            answer: httpx.Response = http.get("/status")
            shown = answer.json()
            assert shown["redis"]["fault"].startswith(fault)
            assert len(shown["subscriptions"]) == len(SUBSCRIPTIONS)
            assert answer.elapsed.total_seconds() < SLACK
