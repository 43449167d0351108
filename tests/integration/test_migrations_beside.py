"""Migrations that build an index while others write, on a database that is in use."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from tests.patience import until

from devstack.postgres import Postgres

from .migrating import (
    MIGRATING,
    REVISIONS,
    TABLES,
    Run,
    column,
    empty_database,
    run_migrate,
    succeeded,
    tables,
)

REGISTER = """
WITH event AS (INSERT INTO events VALUES (gen_random_uuid(), 'x', 'x', '{}', now()) RETURNING id)
INSERT INTO deliveries (event_id, subscription, state) SELECT id, 'x', 'failed' FROM event
"""
PROGRESS = "SELECT pid FROM pg_stat_progress_create_index WHERE datname = current_database()"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('deliveries_troubled')"


@pytest.fixture
def empty(postgres: Postgres) -> str:
    """The URL of a database without any table."""
    return empty_database(postgres)


@contextmanager
def building(url: str, runs: int = 1) -> Iterator[list[Future[Run]]]:
    """Run migrations that build an index, while a transaction that began before goes on writing."""
    assert succeeded(run_migrate(url))
    with psycopg.connect(url) as connection:
        connection.execute("DROP INDEX deliveries_troubled")
        connection.execute("DROP TABLE operations, attempts")
        connection.execute("ALTER TABLE deliveries DROP COLUMN confirmed_by")
        connection.execute("UPDATE users_api_revision SET version_num = 'messaging_0006' WHERE version_num ~ 'messag'")
    with ThreadPoolExecutor(runs) as operators, psycopg.connect(url) as registering:
        registering.execute(REGISTER)
        migrations = [operators.submit(run_migrate, url) for _ in range(runs)]
        until(lambda: column(url, PROGRESS))
        until(lambda: len(column(url, MIGRATING)) == runs)
        yield migrations


def test_while_an_index_is_built_registrations_go_on(empty: str) -> None:
    with building(empty) as [run]:
        with psycopg.connect(empty, options="-c lock_timeout=1s") as another:
            another.execute(REGISTER)
        assert not run.done(), "it waits for the transaction that began before"

    assert succeeded(run.result())
    assert column(empty, VALID) == {True}
    assert tables(empty) == TABLES["users-api"]


def test_two_migrations_beside_a_long_transaction_don_t_wait_for_each_other_forever(empty: str) -> None:
    with building(empty, runs=2) as runs:
        pass

    assert all(succeeded(run.result()) for run in runs)
    assert column(empty, VALID) == {True}


def test_an_index_whose_build_was_interrupted_is_built_anew(empty: str) -> None:
    with building(empty) as [run], psycopg.connect(empty) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({PROGRESS}) AS progress".encode())
        stopped = run.result()
    assert (stopped.returncode, column(empty, VALID)) == (1, {False})
    assert "Run it again: it goes on from there." in stopped.stderr

    assert succeeded(run_migrate(empty))

    assert column(empty, VALID) == {True}
    assert column(empty, "SELECT version_num FROM users_api_revision") == REVISIONS
