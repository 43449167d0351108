"""A thread that waits in Redis is out as soon as it is told, and never before something came otherwise."""

import threading
from collections.abc import Iterator

import pytest
import redis
from tests.patience import PATIENCE, until

from devstack.ports import free_port
from devstack.redis_server import RedisServer
from messaging.wire.client import connect
from messaging.wire.waits import Waits

LONG = 60


@pytest.fixture
def waits(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[Waits]:
    made = Waits(redis_server.url, timeout=LONG + 3)
    yield made
    made.close()


def wait(waits: Waits, first: threading.Event) -> threading.Thread:
    """Wait for a list that stays empty, in a thread: for a minute from when `first` happens, unless it is ended."""

    def work() -> None:
        with waits.waiting() as may:
            began.set()
            first.wait(PATIENCE)
            if may:
                waits.client.blpop(["nothing"], timeout=LONG)

    began = threading.Event()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert began.wait(PATIENCE)
    return thread


def blocked(client: redis.Redis) -> int:
    waiting: int = client.info("clients")["blocked_clients"]
    return waiting


def test_a_wait_ends_when_it_is_told_to(waits: Waits, redis_client: redis.Redis) -> None:
    now = threading.Event()
    now.set()
    threads = [wait(waits, now) for _ in range(3)]
    until(lambda: blocked(redis_client) == 3)

    waits.end(redis_client)

    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)


def test_a_wait_that_redis_has_not_heard_of_yet_ends_too(
    waits: Waits, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    unblock = waits._unblock

    def tell(client: redis.Redis) -> None:
        unblock(client)
        told.set()

    monkeypatch.setattr(waits, "_unblock", tell)
    thread = wait(waits, first=told)

    waits.end(redis_client)

    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_no_wait_begins_after_the_end(waits: Waits, redis_client: redis.Redis) -> None:
    waits.end(redis_client)

    with waits.waiting() as may:
        assert not may


def test_the_waits_of_others_go_on(waits: Waits, redis_server: RedisServer, redis_client: redis.Redis) -> None:
    now = threading.Event()
    now.set()
    other = Waits(redis_server.url, timeout=LONG + 3)
    ours, theirs = wait(waits, now), wait(other, now)
    until(lambda: blocked(redis_client) == 2)

    waits.end(redis_client)
    ours.join(PATIENCE)

    assert blocked(redis_client) == 1
    other.end(redis_client)
    theirs.join(PATIENCE)
    other.close()


def test_with_redis_away_nobody_is_waited_for(waits: Waits) -> None:
    nowhere = connect(f"redis://127.0.0.1:{free_port()}")

    with waits.waiting():
        waits.end(nowhere)  # it returns
