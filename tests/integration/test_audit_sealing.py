"""What is sealed, and when: late commits, gaps, several sealers, rows from before the chain, outages."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from structlog.testing import capture_logs
from tests.conftest import user_registered
from tests.patience import PATIENCE, until

from auditor.chain import sealing
from auditor.chain.sealer import Sealer
from auditor.chain.sealing import try_seal
from auditor.cli import MIGRATIONS
from auditor.handlers import record
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from messaging.process.database import Connections, Pool, open_pool
from messaging.process.migrate import _config, migrate
from messaging.process.revisions import version_table

from .audit_world import Audit

_numbers = count()


@pytest.fixture
def pool(audit: Audit) -> Iterator[Pool]:
    with open_pool(audit.url, size=4, name="test") as opened:
        yield opened


@contextmanager
def sealing_thread(pool: Connections) -> Iterator[Sealer]:
    sealer = Sealer(pool, None)
    sealer.start()
    with closing(sealer):
        yield sealer


def sealed(audit: Audit) -> list[list[int]]:
    return [ids for (ids,) in audit.query("SELECT row_ids FROM audit_seals ORDER BY seal")]


def test_rows_wait_from_their_commit_until_they_are_sealed(audit: Audit) -> None:
    audit.write(1, 2)
    waiting = audit.verify()
    audit.seal()
    after = audit.verify()

    assert (waiting.rows, waiting.waiting, waiting.finding) == (0, 2, None)
    assert (after.rows, after.waiting, after.finding) == (2, 0, None)


def test_an_event_that_comes_again_is_not_queued_again(audit: Audit, pool: Pool) -> None:
    event, other = user_registered(1), user_registered(2)
    with pool.connection() as connection:
        record(connection, [event])
        record(connection, [event])
        record(connection, [event, other])

    assert audit.query("SELECT cardinality(ids) FROM audit_unsealed ORDER BY entry") == [(1,), (1,)]


def test_a_transaction_that_commits_after_later_rows_were_sealed_is_sealed_too(audit: Audit, pool: Pool) -> None:
    with pool.connection() as late, late.transaction():
        record(late, [user_registered(1)])  # takes the lower id
        audit.write_sealed((2, 3))
        assert audit.verify().finding is None
    audit.seal()

    assert sealed(audit) == [[2, 3], [1]]
    assert audit.verify().finding is None


def test_gaps_in_the_ids_do_not_matter(audit: Audit, pool: Pool) -> None:
    with pool.connection() as connection:
        for number in range(5):
            with connection.transaction(force_rollback=number % 2 == 1):
                record(connection, [user_registered(number)])
    audit.seal()

    assert sealed(audit) == [[1, 3, 5]]
    assert audit.verify().finding is None


def test_a_long_queue_becomes_several_seals(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "ENTRIES", 2)
    for number in range(5):
        audit.write(number)
    audit.seal()

    assert sealed(audit) == [[1, 2], [3, 4], [5]]
    assert audit.verify().finding is None


def test_entries_without_rows_do_not_hide_those_behind_them(audit: Audit) -> None:
    """The table's check refuses such entries; this is a table without it."""
    audit.tamper("ALTER TABLE audit_unsealed DROP CONSTRAINT audit_unsealed_ids_check")
    audit.query("INSERT INTO audit_unsealed (ids) SELECT '{}' FROM generate_series(1, 150) RETURNING 1")
    audit.write(1)
    audit.seal()

    assert sealed(audit) == [[1]]


def test_several_sealers_and_writers_at_once_make_one_chain_of_every_row(audit: Audit, pool: Pool) -> None:
    done = threading.Event()

    def write(number: int) -> None:
        for turn in range(20):
            audit.write(*(1000 * number + 10 * turn + each for each in range(1 + turn % 5)))

    def seal() -> None:
        while not done.is_set():
            with pool.connection() as connection:
                try_seal(connection)

    with ThreadPoolExecutor(7) as threads:
        sealers = [threads.submit(seal) for _ in range(3)]
        list(threads.map(write, range(4)))
        done.set()
    for each in sealers:
        each.result()
    audit.seal()

    result = audit.verify()
    assert (result.finding, result.rows, result.waiting) == (None, 240, 0)


def test_while_one_seals_another_does_not(audit: Audit, pool: Pool) -> None:
    audit.write(1)
    with pool.connection() as one, pool.connection() as other, one.transaction():
        one.execute("SELECT pg_advisory_xact_lock(%s)", [sealing.LOCK])
        assert try_seal(other) is None
    with pool.connection() as other:
        assert try_seal(other)


def test_a_sealer_that_ends_before_its_commit_leaves_the_rows_to_the_next(audit: Audit, pool: Pool) -> None:
    audit.write(1, 2)

    with suppress(psycopg.OperationalError), pool.connection() as connection, connection.transaction():
        sealing.seal_all(connection)
        audit.query("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
    assert connection.closed
    audit.seal()

    assert sealed(audit) == [[1, 2]]
    assert audit.verify().finding is None


def test_rows_from_before_the_chain_are_sealed_too(postgres: Postgres) -> None:
    audit = Audit(database_before_the_chain(postgres))
    audit.query(
        "INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)"
        " SELECT gen_random_uuid(), 'user_registered', i || '@example.com', i, 'test', now()"
        " FROM generate_series(1, 250) AS i RETURNING id"
    )

    migrate(audit.url, service="auditor", packages=MIGRATIONS)
    audit.write(251)
    before = audit.verify()
    audit.seal()

    result = audit.verify()
    assert (before.finding, before.waiting) == (None, 251)
    assert (result.finding, result.rows, result.waiting) == (None, 251, 0)


def database_before_the_chain(postgres: Postgres) -> str:
    name = f"audit_before_{next(_numbers)}"
    postgres.create_database(name)
    url = postgres.url(name)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    with engine.begin() as connection:
        config = _config(("auditor.migrations",))
        config.attributes.update(connection=connection, version_table=version_table("auditor"))
        command.upgrade(config, "auditor_0001")
    return url


# The thread


def test_it_seals_a_moment_after_it_is_woken(audit: Audit, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.chain.sealer.LOOK_SECONDS", 10 * PATIENCE)
    with sealing_thread(pool) as sealer:
        audit.write(1)
        sealer.wake()
        until(lambda: sealed(audit) == [[1]])


WORKER = """
import time

import auditor.chain.sealer
from tests.conftest import user_registered

auditor.chain.sealer.LOOK_SECONDS = 3600.0
from auditor.worker import audit_log

audit_log([user_registered(1)])
time.sleep(3600)
"""


def test_a_worker_wakes_it_when_it_has_written(audit: Audit, redis_server: RedisServer) -> None:
    """Else a row would wait for the next look."""
    given = {**os.environ, "DATABASE_URL": audit.url, "REDIS_URL": redis_server.url}
    with subprocess.Popen([sys.executable, "-c", WORKER], env=given, cwd=Path(__file__).parents[2]) as worker:
        try:
            until(lambda: sealed(audit) == [[1]] or worker.poll() is not None)
            assert sealed(audit) == [[1]]
        finally:
            worker.kill()


def test_it_gathers_what_is_written_within_a_second(audit: Audit, pool: Pool) -> None:
    with sealing_thread(pool) as sealer:
        for number in range(5):
            audit.write(number)
            sealer.wake()
        until(lambda: bool(sealed(audit)))

    assert sealed(audit) == [[1, 2, 3, 4, 5]]


def test_it_finds_what_a_dead_process_has_left(audit: Audit, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.chain.sealer.LOOK_SECONDS", 0.1)
    audit.write(1)
    with sealing_thread(pool):
        until(lambda: sealed(audit) == [[1]])


def test_it_seals_what_is_there_when_it_is_closed(audit: Audit, pool: Pool) -> None:
    with sealing_thread(pool):
        audit.write(1)

    assert sealed(audit) == [[1]]


def test_it_looks_again_while_another_sealer_is_at_work(
    audit: Audit, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.chain.sealer.LOOK_SECONDS", 10 * PATIENCE)
    with sealing_thread(pool) as sealer, pool.connection() as other:
        with other.transaction():
            other.execute("SELECT pg_advisory_xact_lock(%s)", [sealing.LOCK])
            audit.write(1)
            sealer.wake()
            time.sleep(1.5)
            assert sealed(audit) == []
        until(lambda: sealed(audit) == [[1]])


def test_it_outlives_an_outage_and_logs_it_once(audit: Audit, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.chain.sealer.LOOK_SECONDS", 0.05)
    with audit.connection() as owner, capture_logs() as logged:
        owner.execute("ALTER TABLE audit_unsealed RENAME TO away")
        with sealing_thread(pool):
            until(lambda: len(logged) > 0)
            time.sleep(0.5)
            owner.execute("ALTER TABLE away RENAME TO audit_unsealed")
            audit.write(1)
            until(lambda: sealed(audit) == [[1]])

    assert [line["event"] for line in logged] == ["seal.failed", "seal.recovered"]


def test_an_idle_sealer_looks_every_five_seconds(pool: Pool) -> None:
    looks: list[float] = []

    class Counting:
        @contextmanager
        def connection(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
            looks.append(time.monotonic())
            with pool.connection() as connection:
                yield connection

    with sealing_thread(Counting()):
        time.sleep(11)
        assert 1 <= len(looks) <= 2
