"""The audit log: exactly once, append-only, and readable."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from types import SimpleNamespace

import psycopg
import pytest
from tests.conftest import user_registered
from tests.patience import PATIENCE

from auditor import log
from auditor.handlers import record
from devstack.programs import program
from messaging.process.database import Pool, open_pool


@pytest.fixture
def url(new_database: Callable[[str], str]) -> str:
    return new_database("auditor")


@pytest.fixture
def pool(url: str) -> Iterator[Pool]:
    with open_pool(url, size=8, name="test") as opened:
        yield opened


def rows(pool: Pool) -> list[tuple[object, ...]]:
    with pool.connection() as connection:
        return connection.execute("SELECT event_id, action, email, user_id FROM audit_log ORDER BY id").fetchall()


def test_each_event_is_one_row(pool: Pool) -> None:
    events = [user_registered(1), user_registered(2)]

    with pool.connection() as connection:
        record(connection, events)

    expected = {(event.id, "user_registered", f"user{n}@example.com", n) for n, event in enumerate(events, 1)}
    assert set(rows(pool)) == expected


def test_an_event_that_comes_again_is_not_written_again(pool: Pool) -> None:
    event, other = user_registered(1), user_registered(2)

    with pool.connection() as connection:
        record(connection, [event])
        record(connection, [other, event, event])

    assert len(rows(pool)) == 2


def test_groups_that_overlap_at_the_same_time_write_each_event_once(pool: Pool) -> None:
    events = [user_registered(index) for index in range(200)]

    def write(turn: int) -> None:
        with pool.connection() as connection:
            record(connection, events[:: 1 if turn % 2 else -1])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(16)))

    assert len(rows(pool)) == 200


@pytest.mark.parametrize("change", ["UPDATE audit_log SET email = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"])
def test_what_is_written_stays(pool: Pool, change: str) -> None:
    with pool.connection() as connection:
        record(connection, [user_registered(1)])

        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(change.encode())

    assert len(rows(pool)) == 1


def auditor(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": url}
    return subprocess.run(
        [program("auditor"), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_the_log_prints_when_what_and_who(url: str, pool: Pool) -> None:
    with pool.connection() as connection:
        record(connection, [user_registered(1), user_registered(2)])

    lines = auditor(url, "log").stdout.splitlines()

    assert sorted(line.split(" | ")[1:] for line in lines) == [
        ["user_registered", "user1@example.com"],
        ["user_registered", "user2@example.com"],
    ]


def test_the_log_as_json_has_every_field(url: str, pool: Pool) -> None:
    event = user_registered(1)
    with pool.connection() as connection:
        record(connection, [event])

    [entry] = map(json.loads, auditor(url, "log", "--json").stdout.splitlines())

    assert entry["event_id"] == str(event.id)
    assert {"action", "email", "user_id", "correlation_id", "occurred_at", "recorded_at"} <= entry.keys()


def test_following_the_log_shows_new_entries_even_those_that_commit_late(url: str, pool: Pool) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONUNBUFFERED": "1"}
    follower = subprocess.Popen(
        [program("auditor"), "log", "--follow"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert follower.stdout is not None
        with pool.connection() as late, late.transaction():
            record(late, [user_registered(1)])  # takes the lower id, and commits last
            with pool.connection() as connection:
                record(connection, [user_registered(2)])
            assert "user2@example.com" in follower.stdout.readline()
        assert "user1@example.com" in follower.stdout.readline()
    finally:
        follower.kill()
        follower.communicate()


def test_without_a_database_the_log_says_what_to_do(postgres: object, url: str) -> None:
    nowhere = auditor("postgresql://postgres@127.0.0.1:1/none", "log")
    empty = auditor(url.rsplit("/", 1)[0] + "/postgres", "log")

    assert (nowhere.returncode, empty.returncode) == (1, 1)
    assert "DATABASE_URL" in nowhere.stderr
    assert "auditor migrate" in empty.stderr
    assert "Traceback" not in nowhere.stderr + empty.stderr


def test_a_log_of_many_pages_is_read_to_its_end(url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "PAGE", 2)
    with pool.connection() as connection:
        record(connection, [user_registered(index) for index in range(5)])

    assert len(list(log.entries(url))) == 5


def test_following_a_log_of_many_pages_shows_each_entry_once(
    url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "PAGE", 2)
    with pool.connection() as connection:
        record(connection, [user_registered(index) for index in range(5)])
    later = iter((5, 6))

    def record_another(_: float) -> None:
        with pool.connection() as connection:
            record(connection, [user_registered(next(later))])

    monkeypatch.setattr(log, "time", SimpleNamespace(sleep=record_another))

    followed = [entry.user_id or 0 for entry in islice(log.follow(url), 7)]

    assert (sorted(followed[:5]), followed[5:]) == ([0, 1, 2, 3, 4], [5, 6])
