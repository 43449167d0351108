"""A Redis behind a Unix socket alone: everything that speaks to it does so there, and says so when it is away."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
import redis
from tests.patience import until

from contracts import AUDIT_LOG, WELCOME_EMAIL
from devstack.processes import Process
from devstack.redis_server import best_program
from messaging import HeraldBroker, health, subscribe
from messaging.wire.client import connect

from .conftest import QUICK_SUBSCRIPTIONS
from .workers import RECEIPTS, Publish, run_relay, working


class SocketRedis:
    """A Redis that listens on no port."""

    def __init__(self, directory: Path, program: str, options: str) -> None:
        path = directory / "redis.sock"
        self.url = f"unix://{path}?db=1{options}"
        words = {"port": "0", "unixsocket": str(path), "dir": str(directory), "save": "", "appendonly": "no"}
        argv = [program, *(word for name, value in words.items() for word in (f"--{name}", value))]
        self.process = Process("redis", argv)

    def start(self) -> None:
        self.process.start()
        with connect(self.url) as client:
            until(lambda: answers(client))


def answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


@pytest.fixture(params=["", "&protocol=2"])
def socket_redis(request: pytest.FixtureRequest) -> Iterator[SocketRedis]:
    program = best_program()
    if program is None:
        pytest.skip("no redis-server on this machine, and the fake one listens on a port")
    directory = Path(tempfile.mkdtemp(prefix="herald-"))  # a socket's path must be short
    server = SocketRedis(directory, program, request.param)
    server.start()
    yield server
    server.process.kill()
    shutil.rmtree(directory)


@pytest.mark.usefixtures("quick_shutdown")
def test_relay_worker_and_health_work_through_a_unix_socket(
    socket_redis: SocketRedis, users_database: str, publish_users: Publish
) -> None:
    heard: set[UUID] = set()  # once each: a relay that finds a new Redis may send some again
    broker = HeraldBroker(socket_redis.url)
    receipts = connect(socket_redis.url)
    subscribe(broker, AUDIT_LOG, lambda event: heard.add(event.id))
    subscribe(broker, WELCOME_EMAIL, lambda _: None)
    stop = threading.Event()
    relay = threading.Thread(target=run_relay, args=(users_database, socket_redis.url, QUICK_SUBSCRIPTIONS, stop))
    host = socket.gethostname()
    relay.start()
    try:
        with working(broker):
            publish_users(2)
            until(lambda: len(heard) == 2)
            until(lambda: health.relay_fault(receipts, host) is None)
            assert health.worker_fault(receipts, host) is None
            until(lambda: receipts.xlen(RECEIPTS) == 0)

            socket_redis.process.kill()
            publish_users(1)
            socket_redis.start()
            until(lambda: len(heard) == 3)
    finally:
        stop.set()
        relay.join()
        receipts.close()


def test_a_socket_that_nobody_listens_on_is_redis_being_away(tmp_path: Path) -> None:
    with connect(f"unix://{tmp_path}/nobody") as client, pytest.raises(redis.ConnectionError):
        client.ping()
