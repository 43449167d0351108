"""Real servers for every test run: its own, in a temporary folder, on free ports, ended with the run."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import redis
from tests.contract.goldens import golden

from chaos import servers
from contracts import Event, UserRegistered, decode
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from messaging import publish
from messaging.process.database import Pool, open_pool
from messaging.wire.client import connect

LONGEST = ("walks", "chaos", "http_contract", "e2e", "console")
"""Folders of files that take minutes. They begin first, so that no process is left alone with one of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put LONGEST first, in this order; `--no-loadscope-reorder` leaves it so."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    here = Path(__file__).parent
    items.sort(key=lambda item: ranks.get(item.path.relative_to(here).parts[0], len(ranks)))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server with one migrated template database for each service."""
    server = Postgres(tmp_path_factory.mktemp("servers") / "postgres", durable=False)
    server.start()
    servers.make_templates(server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("servers") / "redis", appendonly=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def new_database(postgres: Postgres) -> Callable[[str], str]:
    """Make a migrated database of a service and return its URL: `new_database("auditor")`."""
    return partial(servers.new_database, postgres)


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """An empty Redis."""
    client = connect(redis_server.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def users_database(new_database: Callable[[str], str]) -> str:
    return new_database("users")


@pytest.fixture
def users_pool(users_database: str) -> Iterator[Pool]:
    with open_pool(users_database, size=4, name="test") as pool:
        yield pool


@pytest.fixture
def publish_users(users_pool: Pool) -> Callable[..., list[Event[UserRegistered]]]:
    """Publish `user_registered` for so many users, in one transaction: `publish_users(3)`."""

    def publish_them(number: int, *, available_at: datetime | None = None) -> list[Event[UserRegistered]]:
        events = [user_registered(index) for index in range(1, number + 1)]
        with users_pool.connection() as connection:
            connection.execute(*publish(events, available_at=available_at))
        return events

    return publish_them


def user_registered(index: int) -> Event[UserRegistered]:
    facts = {"user_id": index, "email": f"user{index}@example.com", "full_name": f"User {index}"}
    data = decode(golden("user_registered"), UserRegistered).data.model_copy(
        update={**facts, "registered_at": datetime.now(UTC)}
    )
    return Event.about(data, source="users-api", subject=f"users/{index}", correlation_id="test")
