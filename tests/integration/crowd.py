"""Many people register at the same moment, while a statement of the API is held up: that is how groups come to be."""

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from tests.patience import until

from users_api.group_commit import GroupCommit

from .live_api import MAYA, LiveApi

Reply = Future[httpx.Response]


def address(name: str) -> str:
    return f"{name}@example.com"


class Crowd:
    """`arrived`: how many requests this process's group commits were ever given."""

    def __init__(self, api: LiveApi, people: ThreadPoolExecutor) -> None:
        self.api = api
        self.people = people
        self.arrived = 0

    def come(self, *names: str, http: httpx.Client | None = None) -> list[Reply]:
        """Let each register, with their name as their key, and wait until all of them wait for their group."""
        expected = self.arrived + len(names)
        replies = [self.people.submit(self.register, name, http or self.api.http) for name in names]
        until(lambda: self.arrived >= expected)
        return replies

    def register(self, name: str, http: httpx.Client) -> httpx.Response:
        headers = {"Idempotency-Key": name}
        return http.post("/users", json=MAYA | {"email": address(name)}, headers=headers)

    def come_and_hang_up(self, name: str) -> None:
        """Ask, and be gone before the answer."""
        expected, body = self.arrived + 1, f'{{"email": "{address(name)}", "full_name": "Gone"}}'.encode()
        head = f"POST /users HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        with socket.create_connection((self.api.http.base_url.host, self.api.http.base_url.port or 0)) as client:
            client.sendall(head.encode() + b"\r\n\r\n" + body)
            until(lambda: self.arrived >= expected)

    @contextmanager
    def held_up(self, name: str) -> Iterator[psycopg.Connection[Any]]:
        """Let whoever registers this address wait: another transaction has it until the block ends."""
        statement = "INSERT INTO users (email, email_key, full_name) VALUES (%(email)s, %(email)s, 'nobody')"
        with psycopg.connect(self.api.database.info.dsn) as connection:
            connection.execute(statement, {"email": address(name)})
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def behind(self, name: str, already: int = 0) -> Iterator[Reply]:
        """While the block lasts, this one's statement is under way, and whoever comes has to wait for the next.

        `already`: how many other statements wait for locks.
        """
        with self.held_up(name):
            [reply] = self.come(name)
            self.until_waiting(already + 1)
            yield reply
            assert self.waiting() == already + 1, "it is still under way, or this proves nothing"

    def waiting(self) -> int:
        """Count statements that wait for somebody's lock."""
        return len(
            self.api.rows(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                " AND application_name = 'herald-api'"
            )
        )

    def until_waiting(self, number: int) -> None:
        until(lambda: self.waiting() == number)

    def transactions(self) -> dict[str, str]:
        """Return which transaction wrote each user."""
        rows = self.api.rows("SELECT split_part(email, '@', 1) AS name, xmin::text AS transaction FROM users")
        return {row["name"]: row["transaction"] for row in rows}


def statuses(replies: list[Reply]) -> list[int]:
    return [reply.result().status_code for reply in replies]


@contextmanager
def gathered(api: LiveApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    """Let people come to an API that runs in this process."""
    submit = GroupCommit.submit
    with ThreadPoolExecutor(50) as people:
        crowd = Crowd(api, people)

        def counted(self: Any, request: Any) -> Any:
            crowd.arrived += 1
            return submit(self, request)

        monkeypatch.setattr(GroupCommit, "submit", counted)
        yield crowd
