"""Connections of workers and the relay, through restarts of PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import SimpleNamespace

import psycopg
import pytest
from tests.patience import until

from messaging.process.database import Connections, has_ended, open_pool
from messaging.relay.listener import Listener

Opened = Callable[[str], AbstractContextManager[Connections]]


def test_a_connection_that_the_server_closed_costs_nobody_an_error(users_database: str) -> None:
    with open_pool(users_database, size=1, name="test") as pool:
        connection = pool.getconn()
        ended = connection.info.backend_pid
        with open_pool(users_database, size=1, name="other") as other, other.connection() as executioner:
            executioner.execute("SELECT pg_terminate_backend(%s)", (ended,))
        until(lambda: has_ended(connection))
        pool.putconn(connection)

        with pool.connection() as alive:
            row = alive.execute("SELECT pg_backend_pid()").fetchone()

    assert row is not None
    assert row[0] != ended


def test_borrowing_a_connection_asks_the_server_nothing(users_database: str) -> None:
    with open_pool(users_database, size=1, name="test") as pool:
        with pool.connection() as connection:
            connection.execute("SELECT 'last'")
        for _ in range(3):
            with pool.connection():
                pass
        with open_pool(users_database, size=1, name="other") as other, other.connection() as observer:
            query = "SELECT query FROM pg_stat_activity WHERE application_name = 'herald-test'"
            assert observer.execute(query).fetchall() == [("SELECT 'last'",)]


def test_a_connection_that_was_closed_here_has_ended(users_database: str) -> None:
    with open_pool(users_database, size=1, name="test") as pool:
        connection = pool.getconn()
        assert not has_ended(connection)
        connection.close()
        assert has_ended(connection)
        pool.putconn(connection)


def by_pool(url: str) -> AbstractContextManager[Connections]:
    return open_pool(url, size=1, name="test")


@contextmanager
def by_listener(url: str) -> Iterator[Connections]:
    listener = Listener(url)
    yield listener
    listener.close()


@pytest.mark.parametrize("opened", [by_pool, by_listener])
def test_a_column_of_another_type_costs_one_error_and_not_all_that_follow(users_database: str, opened: Opened) -> None:
    with opened(users_database) as connections, psycopg.connect(users_database, autocommit=True) as owner:
        for _ in range(10):  # so that it is prepared
            names(connections)
        owner.execute("ALTER TABLE users ALTER full_name TYPE varchar(300)")

        with pytest.raises(psycopg.errors.FeatureNotSupported):
            names(connections)

        until(lambda: names(connections) == [])


@pytest.mark.parametrize("opened", [by_pool, by_listener])
def test_an_error_that_is_one_statements_own_keeps_the_connection(users_database: str, opened: Opened) -> None:
    with opened(users_database) as connections:
        before = backend(connections)
        with pytest.raises(psycopg.errors.DivisionByZero), connections.connection() as connection:
            connection.execute("SELECT 1 / 0")
        assert backend(connections) == before

        with pytest.raises(psycopg.errors.UndefinedTable), connections.connection() as connection:
            connection.execute("SELECT FROM nowhere")
        assert backend(connections) != before


def names(connections: Connections) -> list[tuple[object, ...]]:
    with connections.connection() as connection:
        return connection.execute("SELECT full_name FROM users").fetchall()


def backend(connections: Connections) -> int:
    with connections.connection() as connection:
        return connection.info.backend_pid


def test_after_one_error_all_connections_that_are_older_are_renewed_once_a_second(
    users_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("messaging.process.database.time", SimpleNamespace(monotonic=lambda: now))
    with open_pool(users_database, size=3, name="test") as pool:

        def backends() -> set[int]:
            with ExitStack() as stack:
                return {stack.enter_context(pool.connection()).info.backend_pid for _ in range(3)}

        def fail() -> None:
            with pytest.raises(psycopg.errors.UndefinedTable), pool.connection() as connection:
                connection.execute("SELECT FROM nowhere")

        first = backends()
        now += 1.1
        fail()
        second = backends()
        assert not first & second, "also those that had no error"

        now += 0.5
        fail()
        third = backends()
        assert len(second & third) == 2, "not again within a second, but for the one with the error"
        now += 0.6
        assert not third & backends() & second
        before = backends()
        now += 5
        assert backends() == before
