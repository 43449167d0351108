"""The whole system, as users run it: real processes, real servers, a mail server that can be told to misbehave."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from chaos.servers import SERVICES
from chaos.sink import Sink
from chaos.system import System
from devstack.herald import Herald
from devstack.ports import free_port
from devstack.redis_server import RedisServer
from messaging.process.migrate import migrate

from . import generations as versions


@pytest.fixture
def start_system(
    new_database: Callable[[str], str], redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
) -> Iterator[Callable[..., System]]:
    """Start a system of its own: `start_system(NOTIFIER_UNCERTAIN="hold")`. `shared`: one database for all services."""
    started: list[System] = []

    def start(*, shared: bool = False, **environment: str) -> System:
        sink = Sink()
        sink.start()
        databases = {service: new_database(service) for service in SERVICES}
        if shared:
            databases = dict.fromkeys(SERVICES, databases["users"])
            for service, packages in SERVICES.values():
                migrate(databases["users"], service=service, packages=packages)
        herald = Herald(databases, redis_server.url, sink.url, free_port(), extra=environment)
        system = System(herald, redis_server, sink, tmp_path)
        started.append(system)
        system.start()
        return system

    yield start
    for system in started:
        system.kill()
        system.sink.stop()


@pytest.fixture
def system(start_system: Callable[..., System]) -> System:
    return start_system()


@pytest.fixture(scope="session")
def generations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each generation of Herald, the PYTHONPATH of its processes."""
    return versions.make(tmp_path_factory.mktemp("generations"))
