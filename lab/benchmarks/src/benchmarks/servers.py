"""One PostgreSQL for the whole run, its commits timestamped; for each system a Redis and a sink of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.places import PEERS
from benchmarks.running import Running
from benchmarks.sink_process import SinkProcess
from benchmarks.systems import Place, System
from chaos.servers import SERVICES, make_templates, new_database
from devstack.ports import free_port
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer

_numbers = count()


class Servers:
    """Lends systems. Logs are in `directory`. `keep`: whether they are wanted when all is over."""

    def __init__(self, directory: Path, postgres: Postgres) -> None:
        self.directory = directory
        self.postgres = postgres
        self.keep = False

    @contextmanager
    def system(self, system: System) -> Iterator[Running]:
        """Lend a system that runs and has done a first registration, on empty databases; then end all of it."""
        logs = self.directory / f"{next(_numbers):03}-{system.name}"
        logs.mkdir(parents=True)
        redis_server = RedisServer(logs / "redis")
        sink = SinkProcess(logs / "sink.log")
        databases = self._databases(system)
        place = Place(databases, redis_server.url, sink.url, free_port())
        running = Running(system, place, self.postgres, redis_server, sink, logs)
        try:
            redis_server.start()
            sink.start()
            self._checkpoint()
            running.start()
            yield running
        finally:
            running.kill()
            redis_server.kill()
            sink.kill()
            self._drop(databases)

    def _databases(self, system: System) -> dict[str, str]:
        if system.is_herald:
            return {service: new_database(self.postgres, service) for service in SERVICES}
        return dict.fromkeys(SERVICES, new_database(self.postgres, "peer"))

    def _drop(self, databases: dict[str, str]) -> None:
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            for url in set(databases.values()):
                name = sql.Identifier(url.rpartition("/")[2])
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def _checkpoint(self) -> None:
        """Let no system pay for what the one before it has written."""
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            connection.execute("CHECKPOINT")


def _make_peer_template(postgres: Postgres) -> None:
    postgres.create_database("template_peer")
    with psycopg.connect(postgres.url("template_peer"), autocommit=True) as connection:
        connection.execute((PEERS / "schema.sql").read_bytes())


def _set_up(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    postgres.restart()
    make_templates(postgres)
    _make_peer_template(postgres)


@contextmanager
def own_servers() -> Iterator[Servers]:
    """Start a PostgreSQL, synchronous to the disk, in a temporary folder, for as long as it is needed."""
    directory = Path(tempfile.mkdtemp(prefix="herald-bench-"))
    postgres = Postgres(directory / "postgres")
    servers = Servers(directory, postgres)
    try:
        postgres.start()
        _set_up(postgres)
        yield servers
    except Exception:
        servers.keep = True
        raise
    finally:
        postgres.stop()
        if not servers.keep:
            shutil.rmtree(directory, ignore_errors=True)
