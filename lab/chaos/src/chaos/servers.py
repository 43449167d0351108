"""One PostgreSQL for many systems, each with databases of its own, copied from migrated templates."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from auditor.cli import MIGRATIONS as AUDITOR_MIGRATIONS
from chaos.hook import Hook
from chaos.sink import Sink
from chaos.system import System
from devstack.herald import Herald
from devstack.ports import free_port
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from messaging.process.migrate import migrate
from notifier.cli import MIGRATIONS as NOTIFIER_MIGRATIONS
from users_api import MIGRATIONS as USERS_MIGRATIONS

SERVICES = {
    "users": ("users_api", USERS_MIGRATIONS),
    "notifier": ("notifier", NOTIFIER_MIGRATIONS),
    "auditor": ("auditor", AUDITOR_MIGRATIONS),
}

_numbers = count()


def make_templates(postgres: Postgres) -> None:
    """Make a migrated database of each service, to be copied."""
    for name, (service, packages) in SERVICES.items():
        postgres.create_database(f"template_{name}")
        migrate(postgres.url(f"template_{name}"), service=service, packages=packages)


def new_database(postgres: Postgres, service: str) -> str:
    """Copy the template of a service and return the new database's URL. Copying files is half the default's work."""
    name = f"{service}_{next(_numbers)}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        connection.execute(made.format(sql.Identifier(name), sql.Identifier(f"template_{service}")))
    return postgres.url(name)


def drop_databases(postgres: Postgres, urls: Iterable[str]) -> None:
    """Drop databases: PostgreSQL reads every file again when it starts after a crash."""
    with suppress(psycopg.OperationalError), psycopg.connect(postgres.url(), autocommit=True) as connection:
        for url in urls:
            name = sql.Identifier(url.rpartition("/")[2])
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


class Servers:
    """What a system needs: databases in one PostgreSQL, and a Redis, a sink and an endpoint of its own.

    Logs are in `directory`. `keep`: whether they are wanted when all is over.
    """

    keep = False

    def __init__(self, directory: Path, postgres: Postgres) -> None:
        self.directory = directory
        self.postgres = postgres

    @contextmanager
    def system(self, name: str, webhook: bool = False, /, **environment: str) -> Iterator[System]:
        """Lend a system of its own. Redis and the sink run, its processes don't yet; afterwards end all of them.

        `webhook`: whether it has an endpoint for webhooks too.
        """
        logs = self.directory / f"{next(_numbers):03}-{name}"
        logs.mkdir(parents=True)
        redis_server = RedisServer(logs / "redis", appendonly=False)
        sink, hook = Sink(), Hook()
        redis_server.start()
        sink.start()
        if webhook:
            hook.start()
            environment |= hook.settings
        databases = {service: new_database(self.postgres, service) for service in SERVICES}
        herald = Herald(databases, redis_server.url, sink.url, free_port(), extra=environment)
        system = System(herald, redis_server, sink, logs, hook if webhook else None)
        try:
            yield system
        finally:
            system.kill()
            redis_server.kill()
            sink.stop()
            hook.stop()
            drop_databases(self.postgres, {*databases.values(), *system.publishers.values()})


@contextmanager
def own_servers() -> Iterator[Servers]:
    """Start a PostgreSQL, synchronous to the disk, in a temporary folder, for as long as it is needed."""
    directory = Path(tempfile.mkdtemp(prefix="herald-chaos-"))
    postgres = Postgres(directory / "postgres")
    servers = Servers(directory, postgres)
    try:
        postgres.start()
        make_templates(postgres)
        yield servers
    except Exception:
        servers.keep = True
        raise
    finally:
        postgres.stop()
        if not servers.keep:
            shutil.rmtree(directory, ignore_errors=True)
