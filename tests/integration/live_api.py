"""users-api on a real port, in a thread of the test: real HTTP, a real lifespan, and no mock of anything."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import psycopg
from fastapi import FastAPI
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from structlog.testing import capture_logs
from structlog.typing import EventDict
from tests.patience import PATIENCE

from devstack.postgres import Postgres
from users_api.app import create_app
from users_api.console.mounting import mount_console
from users_api.guard import Guard
from users_api.server import make_server

MAYA = {"email": "maya@example.com", "full_name": "Maya Chen"}


class LiveApi:
    """A running users-api: `http` asks it, `database` looks behind it, `log` is what it logged."""

    def __init__(self, http: httpx.Client, database: psycopg.Connection[DictRow], log: list[EventDict]) -> None:
        self.http = http
        self.database = database
        self.log = log

    @property
    def url(self) -> str:
        """Of the database, for commands."""
        info = self.database.info
        return f"postgresql://{info.user}@{info.host}:{info.port}/{info.dbname}"

    def register(self, **fields: object) -> httpx.Response:
        """POST /users for Maya, except for the fields named."""
        return self.http.post("/users", json=MAYA | fields)

    def register_once(self, key: str, **fields: object) -> httpx.Response:
        """POST /users with an Idempotency-Key."""
        return self.http.post("/users", json=MAYA | fields, headers={"Idempotency-Key": key})

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return self.database.execute(statement.encode(), values).fetchall()

    def execute(self, statement: str, *values: object) -> None:
        """Execute a statement, and commit it."""
        self.database.execute(statement.encode(), values)

    def counts(self) -> tuple[int, int, int]:
        """Return how many users, events and deliveries there are."""
        [row] = self.rows(
            "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM events) AS events,"
            " (SELECT count(*) FROM deliveries WHERE subscription IN ('welcome_email', 'audit_log')) AS deliveries"
        )
        return row["users"], row["events"], row["deliveries"]

    def forget_everything(self) -> None:
        """Empty every table, and begin with user 1 again."""
        tables = "users, idempotency_keys, events, deliveries, attempts, delivery_counts, backlog, operations"
        self.execute(f"TRUNCATE {tables} RESTART IDENTITY")
        self.log.clear()

    @contextmanager
    def failing(self, table: str, timing: str = "BEFORE INSERT", how: str = "RAISE 'no'") -> Iterator[None]:
        """Let every insert into a table fail until the block ends. `AFTER INSERT`: only when it is committed."""
        kind, deferred = ("CONSTRAINT ", " DEFERRABLE INITIALLY DEFERRED") if "AFTER" in timing else ("", "")
        self.execute(
            f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {how}; RETURN NEW; END $$;"
            f" CREATE {kind}TRIGGER fails {timing} ON {table}{deferred} FOR EACH ROW EXECUTE FUNCTION fail()"
        )
        try:
            yield
        finally:
            self.execute(f"DROP TRIGGER fails ON {table}; DROP FUNCTION fail()")


@contextmanager
def live_api(
    postgres: Postgres, database: str, redis_url: str | None = None, *, console: bool = False, token: str | None = None
) -> Iterator[LiveApi]:
    """Run the application on a new database until the block ends. `token`: of its console."""
    made = sql.SQL("CREATE DATABASE {} TEMPLATE template_users STRATEGY FILE_COPY").format(sql.Identifier(database))
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(made)
    url = postgres.url(database)
    app = create_app(url, redis_url=redis_url)
    if console:
        mount_console(app, token)
    with (
        capture_logs() as log,
        running(app) as http,
        psycopg.connect(url, autocommit=True, row_factory=dict_row) as connected,
    ):
        connected.execute("SET lock_timeout = '10s'")
        yield LiveApi(http, connected, log)


def serving(database_url: str) -> AbstractContextManager[httpx.Client]:
    """Serve the application, whether PostgreSQL is there or not."""
    return running(create_app(database_url))


@contextmanager
def running(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve an application until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = make_server(app, Guard())
    thread = threading.Thread(target=server.run, args=([listening],), name="users-api")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.002)
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=PATIENCE) as http:
            yield http
    finally:
        server.handle_exit(signal.SIGTERM, None)
        thread.join()
        listening.close()


def is_problem(answer: httpx.Response, status: int) -> bool:
    """Tell whether an answer is this error, told as RFC 9457 wants it."""
    body = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert body["title"], "a problem has a title"
    assert body["detail"], "a problem says what to do"
    return True


def metrics(api: LiveApi) -> list[str]:
    answer = api.http.get("/metrics")
    assert answer.status_code == 200
    return answer.text.splitlines()
