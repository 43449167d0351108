"""Connections of workers and the relay, through restarts of PostgreSQL."""

from messaging.database import has_ended, open_pool

from .workers import until


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
