"""The dispatcher's ear: nothing that was notified is missed, though it works on the connection that it hears on."""

import select
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from tests.patience import until

from messaging.relay import deliveries
from messaging.relay.listener import Listener

NOW = threading.Event()


@pytest.fixture
def listener(users_database: str) -> Iterator[Listener]:
    listener = Listener(users_database)
    with closing(listener), listener.connection():
        yield listener


def notify(users_database: str) -> None:
    with psycopg.connect(users_database, autocommit=True) as other:
        other.execute(deliveries.WAKE)


def test_it_waits_until_it_is_notified(listener: Listener, users_database: str) -> None:
    assert not listener.wait(0, NOW)

    notify(users_database)

    assert listener.wait(20, NOW)
    assert not listener.wait(0, NOW), "once is enough"


def test_what_is_notified_while_it_works_is_heard_by_the_next_wait(listener: Listener, users_database: str) -> None:
    with listener.connection() as connection:
        work = threading.Thread(target=connection.execute, args=["SELECT pg_sleep(0.5)"])
        work.start()
        with psycopg.connect(users_database, autocommit=True) as other:
            asleep = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
            until(lambda: other.execute(asleep).rowcount == 1)
        notify(users_database)
        work.join()

    assert listener.wait(0, NOW)
    assert not listener.wait(0, NOW)


def test_what_was_read_along_with_an_answer_is_heard_by_the_next_wait(listener: Listener, users_database: str) -> None:
    notify(users_database)
    with listener.connection() as connection:
        until(lambda: bool(select.select([connection], [], [], 0)[0]))
        connection.pgconn.consume_input()  # as the end of an answer does, if a notification comes right behind it

    assert listener.wait(0, NOW)


def test_after_a_cut_it_listens_on_another_connection(listener: Listener, users_database: str) -> None:
    with listener.connection() as connection, psycopg.connect(users_database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
    assert not listener.wait(20, NOW)
    with pytest.raises(psycopg.OperationalError), listener.connection() as cut:
        cut.execute(deliveries.WAKE)

    with listener.connection():
        notify(users_database)

    assert listener.wait(20, NOW)


def test_one_that_could_not_listen_is_not_thought_to(users_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(users_database)
    monkeypatch.setattr(listener, "_channel", "herald; SELECT 1 / 0")
    with closing(listener):
        with pytest.raises(psycopg.errors.DivisionByZero), listener.connection():
            pass
        monkeypatch.undo()

        with listener.connection():
            notify(users_database)

        assert listener.wait(20, NOW)


def test_a_connection_has_the_settings_it_was_asked_for(users_database: str) -> None:
    listener = Listener(users_database, ("plan_cache_mode = force_generic_plan",))
    with closing(listener), listener.connection() as connection:
        assert connection.execute("SHOW plan_cache_mode").fetchone() == ("force_generic_plan",)
