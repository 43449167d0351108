"""Behind PgBouncer: a pool of sessions is as good as PostgreSQL; with transactions pooled, each program refuses."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import redis
from psycopg.conninfo import conninfo_to_dict
from structlog.testing import capture_logs
from tests.patience import until

from contracts import AUDIT_LOG, UserRegistered
from devstack.ports import free_port
from devstack.processes import Process
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, subscribe
from messaging.errors import DatabaseUnsuitable
from messaging.process import pooler
from messaging.process.database import connect
from messaging.publishing.switches import effects_of

from .conftest import QUICK_SUBSCRIPTIONS
from .live_api import is_problem, serving
from .programs import PROGRAMS, refused
from .workers import Publish, run_relay, working

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine (apt install pgbouncer)")


@contextmanager
def pgbouncer(database_url: str, directory: Path, mode: str, size: int = 20) -> Iterator[tuple[str, Process]]:
    """Put a PgBouncer before a server, and give the database's URL behind it, and the process."""
    server = conninfo_to_dict(database_url)
    port = free_port()
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={server['host']} port={server['port']} user={server['user']}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 500\n"
    )
    account = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = Process("pgbouncer", [str(PROGRAM), *account, str(configuration)], output=directory / "pgbouncer.log")
    process.start()
    url = f"postgresql://{server['user']}@127.0.0.1:{port}/{server['dbname']}"
    try:
        until(lambda: answers(url))
        yield url, process
    finally:
        process.kill()


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def transactions(users_database: str, tmp_path: Path) -> Iterator[str]:
    with pgbouncer(users_database, tmp_path, "transaction") as (url, _):
        yield url


@pytest.fixture
def sessions(users_database: str, tmp_path: Path) -> Iterator[str]:
    with pgbouncer(users_database, tmp_path, "session", size=100) as (url, _):
        yield url


@pytest.mark.parametrize("command", PROGRAMS)
def test_each_program_refuses_transactions_that_are_pooled(command: str, transactions: str) -> None:
    refused(command, transactions, pooler.FAULT)


@pytest.mark.parametrize(("mode", "size"), [("transaction", 1), ("transaction", 5), ("statement", 5)])
def test_what_mixes_sessions_up_is_found(users_database: str, tmp_path: Path, mode: str, size: int) -> None:
    with pgbouncer(users_database, tmp_path, mode, size) as (url, _), pytest.raises(DatabaseUnsuitable):
        connect(url, name="test")


def test_it_is_found_while_others_work(transactions: str) -> None:
    over = threading.Event()

    def work() -> None:
        with psycopg.connect(transactions, autocommit=True, prepare_threshold=None) as connection:
            while not over.is_set():
                connection.execute("SELECT count(*) FROM generate_series(1, 500)")

    others = [threading.Thread(target=work) for _ in range(8)]
    for other in others:
        other.start()
    try:
        for _ in range(5):
            with pytest.raises(DatabaseUnsuitable):
                connect(transactions, name="test")
    finally:
        over.set()
        for other in others:
            other.join()


def test_an_exhausted_pool_is_away_and_not_refused(
    users_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooler, "SECONDS", 0.5)
    with pgbouncer(users_database, tmp_path, "session", size=2) as (url, _):
        with pytest.raises(psycopg.OperationalError, match="can't be determined now") as raised:
            connect(url, name="test")
        assert not isinstance(raised.value, DatabaseUnsuitable)


def test_a_pool_of_sessions_serves(sessions: str) -> None:
    with serving(sessions) as http:
        assert http.get("/readyz").status_code == 200
        assert http.post("/users", json={"email": "maya@example.com", "full_name": "Maya"}).status_code == 201
        assert len(http.get("/users/1/deliveries").json()["deliveries"]) == len(effects_of(UserRegistered))


@pytest.mark.usefixtures("quick_shutdown")
def test_effects_follow_through_a_pool_of_sessions(
    sessions: str, redis_server: RedisServer, redis_client: redis.Redis, publish_users: Publish
) -> None:
    heard: set[UUID] = set()  # once each: a relay that finds a new Redis may send some again
    broker = HeraldBroker(redis_server.url)
    subscribe(broker, AUDIT_LOG, lambda event: heard.add(event.id))
    stop = threading.Event()
    relay = threading.Thread(target=run_relay, args=(sessions, redis_server.url, QUICK_SUBSCRIPTIONS, stop))
    relay.start()
    try:
        with working(broker):
            publish_users(3)
            until(lambda: len(heard) == 3)
    finally:
        stop.set()
        relay.join()


@pytest.mark.usefixtures("reported_anew")
def test_what_begins_to_mix_sessions_up_is_said_and_nothing_is_ready(users_database: str, tmp_path: Path) -> None:
    with pgbouncer(users_database, tmp_path, "transaction") as (url, _), capture_logs() as log, serving(url) as http:
        until(lambda: http.get("/readyz").json()["checks"]["postgresql"] == pooler.FAULT)
        assert is_problem(http.get("/readyz"), 503)
    assert [entry["log_level"] for entry in log if entry["event"] == "database.unsuitable"] == ["error"]
