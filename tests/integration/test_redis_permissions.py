"""What Herald may do in Redis: what docs/operating.md lists is enough, and CLIENT is for a quick stop alone."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from tests.patience import until

from contracts import AUDIT_LOG, WELCOME_EMAIL
from devstack.ports import free_port
from devstack.processes import Process
from devstack.redis_server import RedisServer, best_program
from messaging import HeraldBroker, health, subscribe
from messaging.process.database import Pool
from messaging.wire.client import connect

from .conftest import QUICK_SUBSCRIPTIONS
from .workers import Publish, run_relay, working

DOCUMENT = Path(__file__).parents[2] / "docs" / "operating.md"


def documented() -> str:
    """Return the rules that the document gives Herald's user, as they stand there."""
    [rules] = re.findall(r"^ACL SETUSER herald on >password ([^`]*)```$", DOCUMENT.read_text(), re.MULTILINE)
    return " ".join(rules.split())


@pytest.fixture
def user(request: pytest.FixtureRequest, redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[str]:
    """The URL of a user who may do what the test's parameter says."""
    if redis_server.note:
        pytest.skip("no redis-server on this machine, and the fake one has no users")
    rules = request.param.split()
    redis_client.execute_command("ACL", "SETUSER", "herald", "reset", "on", ">password", *rules)  # type: ignore[no-untyped-call]  # redis-py
    redis_client.acl_log_reset()
    yield redis_server.url.replace("redis://", "redis://herald:password@")
    redis_client.acl_deluser("herald")


@pytest.fixture
def renamed() -> Iterator[str]:
    """The URL of a Redis that knows no CLIENT."""
    program = best_program()
    if program is None:
        pytest.skip("no redis-server on this machine, and the fake one renames nothing")
    port = free_port()
    server = Process("redis", [program, "--port", str(port), "--save", "", "--rename-command", "CLIENT", '""'])
    server.start()
    url = f"redis://127.0.0.1:{port}"
    with connect(url) as client:
        until(lambda: answers(client))
    yield url
    server.kill()


def answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def deliver(redis_url: str, database_url: str, publish_users: Publish, pool: Pool) -> None:
    """Let a relay and a worker do all that they do, and stop."""
    broker = HeraldBroker(redis_url)
    receipts = connect(redis_url)
    for subscription in (AUDIT_LOG, WELCOME_EMAIL):
        subscribe(broker, subscription, lambda _: None)
    stop = threading.Event()
    relay = threading.Thread(target=run_relay, args=(database_url, redis_url, QUICK_SUBSCRIPTIONS, stop))
    relay.start()
    try:
        with working(broker):
            publish_users(3)
            until(lambda: succeeded(pool) == 6)
            until(lambda: health.relay_fault(receipts, socket.gethostname()) is None)
            assert health.worker_fault(receipts, socket.gethostname()) is None
    finally:
        stop.set()
        relay.join()
        receipts.close()


def succeeded(pool: Pool) -> int:
    with pool.connection() as connection:
        row = connection.execute("SELECT count(*) FROM deliveries WHERE state = 'succeeded'").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("quick_shutdown")
@pytest.mark.parametrize("user", [documented()], indirect=True)
def test_what_the_document_allows_is_enough(
    user: str, users_database: str, publish_users: Publish, users_pool: Pool, redis_client: redis.Redis
) -> None:
    deliver(user, users_database, publish_users, users_pool)

    assert [(entry["reason"], entry["object"]) for entry in redis_client.acl_log()] == []


@pytest.mark.usefixtures("quick_shutdown")
@pytest.mark.parametrize(
    "user",
    ["~* +@all -@dangerous", "~* +@all -client", f"{documented()} -client", f"{documented()} -time"],
    indirect=True,
)
def test_without_client_or_time_everything_is_delivered(
    user: str, users_database: str, publish_users: Publish, users_pool: Pool
) -> None:
    deliver(user, users_database, publish_users, users_pool)


@pytest.mark.usefixtures("quick_shutdown")
def test_where_client_is_renamed_everything_is_delivered(
    renamed: str, users_database: str, publish_users: Publish, users_pool: Pool
) -> None:
    deliver(renamed, users_database, publish_users, users_pool)
