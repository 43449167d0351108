"""users-api on a real port, in a thread of the test: real HTTP, a real lifespan, and no mock of anything."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import uvicorn
from psycopg.rows import DictRow, dict_row

from users_api.app import create_app

MAYA = {"email": "maya@example.com", "full_name": "Maya Chen"}


class LiveApi:
    """A running users-api: `http` asks it, `database` looks behind it."""

    def __init__(self, http: httpx.Client, database: psycopg.Connection[DictRow]) -> None:
        self.http = http
        self.database = database

    def register(self, body: object = None, **headers: str) -> httpx.Response:
        """POST /users; Maya, if nobody is named. `idempotency_key="k"` is the header Idempotency-Key."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post("/users", json=MAYA if body is None else body, headers=named)

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
            " (SELECT count(*) FROM deliveries) AS deliveries"
        )
        return row["users"], row["events"], row["deliveries"]

    def forget_everything(self) -> None:
        """Empty every table, and begin with user 1 again."""
        self.execute("TRUNCATE users, idempotency_keys, events, deliveries RESTART IDENTITY")


@contextmanager
def live_api(database_url: str) -> Iterator[LiveApi]:
    """Run the application on a database until the block ends."""
    with (
        serving(database_url) as http,
        psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as database,
    ):
        yield LiveApi(http, database)


@contextmanager
def serving(database_url: str) -> Iterator[httpx.Client]:
    """Serve the application, whether PostgreSQL is there or not."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(database_url), log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="users-api")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.002)
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=20) as http:
            yield http
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
