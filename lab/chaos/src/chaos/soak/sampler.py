"""Measures a system from outside: its processes, its databases, its Redis.

Memory is private memory, what a process would give back by ending: what is resident less what it shares with files and
other processes, so PostgreSQL's shared buffers count for no process. A group of processes is their sum.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]  # it has no types of its own
import psycopg
import redis

from chaos.load import Load
from chaos.soak.kinds import MIB
from chaos.system import UNFINISHED, WORKERS, System
from devstack.postgres import Postgres
from messaging.relay.receipt_reader import GROUP
from messaging.wire import layout
from messaging.wire.client import connect
from users_api import PUBLISHER

NAME = "chaos-soak"

TABLES: LiteralString = """
-- Herald's tables: not those of Alembic, and not the rig's.
SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables
WHERE relname !~ '_revision$|^chaos_' ORDER BY relname
"""

CONNECTIONS: LiteralString = """
-- The names of connected programs. The rig's own connections have none, except this one.
SELECT application_name, count(*) FROM pg_stat_activity
WHERE datname = ANY (%(databases)s) AND application_name NOT IN ('', %(ours)s) GROUP BY application_name
"""


def private_memory(process: Any) -> int:
    """Return how many bytes a process alone holds."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared if hasattr(memory, "shared") else process.memory_full_info().uss)


class Sampler:
    """Takes samples of a system under a load. A server that is away is left out."""

    def __init__(self, system: System, postgres: Postgres, load: Load) -> None:
        self._system = system
        self._postgres = postgres
        self._load = load
        self._redis = connect(system.redis_server.url, timeout=1)

    def close(self) -> None:
        """Close the connection to Redis."""
        self._redis.close()

    def sample(self) -> dict[str, float]:
        """Take one sample: values by the names of their series."""
        values: dict[str, float] = {"done/registered": len(self._load.answered)}
        values["done/mailed"] = len(self._system.sink.accepted)
        for name, process in self._system.processes.items():
            values |= _process(name, process.pids)
        values |= _process("redis", self._system.redis_server.pids)
        postgres = _process("postgres", self._postgres.pids)
        values |= {name: value for name, value in postgres.items() if name.startswith("memory/")}
        with suppress(psycopg.Error):
            values |= dict(self._databases())
        with suppress(redis.RedisError):
            values |= self._in_redis()
        return values

    def _databases(self) -> Iterator[tuple[str, float]]:
        databases = self._system.herald.databases
        for url in databases.values():
            with psycopg.connect(url, autocommit=True, application_name=NAME, connect_timeout=2) as connection:
                for table, size in connection.execute(TABLES).fetchall():
                    [[rows]] = connection.execute(f'SELECT count(*) FROM "{table}"'.encode()).fetchall()  # noqa: S608  # PostgreSQL named it
                    yield f"size/{table}", size / MIB
                    yield f"rows/{table}", rows
        given = {"databases": [urlsplit(url).path[1:] for url in databases.values()], "ours": NAME}
        with psycopg.connect(databases["users"], application_name=NAME, connect_timeout=2) as connection:
            for application, count in connection.execute(CONNECTIONS, given):
                yield f"connections/{application}", count
            states: Counter[str] = Counter(
                dict(connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state"))
            )
        for state in UNFINISHED:
            yield f"deliveries/{state}", states[state]
        yield "waiting/deliveries", sum(states[state] for state in UNFINISHED)

    def _in_redis(self) -> Mapping[str, float]:
        client: Any = self._redis  # its answers are typed as awaitable too
        readers = 0
        with suppress(redis.ResponseError):  # no stream or no group yet
            readers = next((group["consumers"] for group in client.xinfo_groups(layout.receipts_key(PUBLISHER))
                            if group["name"] == GROUP.encode()), 0)  # fmt: skip
        return {
            "redis/used": client.info("memory")["used_memory"] / MIB,
            "keys/all keys": client.dbsize(),
            "keys/readers of receipts": readers,
            "keys/worker ids": client.scard(layout.WORKERS),
            "keys/heartbeats": client.zcard(layout.DRAMATIQ_HEARTBEATS),
            "connections/redis": len(client.client_list()) - 1,  # our own
            "waiting/receipts": client.xlen(layout.receipts_key(PUBLISHER)),
            "waiting/messages": sum(client.hlen(layout.messages_key(queue)) for queue in WORKERS),
        }


def _process(name: str, pids: Set[int]) -> dict[str, float]:
    """Add up a group of processes; nothing, while it is away."""
    memory = files = threads = 0
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            memory += private_memory(process)
            files += process.num_fds()
            threads += process.num_threads()
    return {f"memory/{name}": memory / MIB, f"files/{name}": files, f"threads/{name}": threads} if memory else {}
