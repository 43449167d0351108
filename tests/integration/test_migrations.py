"""`<service> migrate`, as processes: from nothing, again, at the same time, in a schema, side by side."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.patience import until

from auditor.cli import MIGRATIONS as AUDITOR_MIGRATIONS
from devstack.ports import free_port
from devstack.postgres import Postgres
from messaging.process.migrate import migrate
from notifier.cli import MIGRATIONS as NOTIFIER_MIGRATIONS
from users_api import MIGRATIONS as USERS_MIGRATIONS

from .migrating import MIGRATING, REVISIONS, TABLES, column, empty_database, run_migrate, succeeded, tables

PACKAGES = {"users-api": USERS_MIGRATIONS, "notifier": NOTIFIER_MIGRATIONS, "auditor": AUDITOR_MIGRATIONS}
NEWER = """
DROP INDEX deliveries_troubled; DROP TABLE schedule_slots, delivery_counts, backlog, operations, attempts;
ALTER TABLE deliveries DROP COLUMN first_due_at, DROP COLUMN confirmed_by
"""
"""Undoes what messaging has added to its tables since messaging_0004."""


@pytest.fixture
def empty(postgres: Postgres) -> str:
    """The URL of a database without any table."""
    return empty_database(postgres)


def test_the_tables_are_made_and_a_second_run_changes_nothing(empty: str) -> None:
    assert succeeded(run_migrate(empty))
    assert tables(empty) == TABLES["users-api"]
    made = column(empty, "SELECT oid::text FROM pg_class")

    assert succeeded(run_migrate(empty))

    assert column(empty, "SELECT oid::text FROM pg_class") == made


def test_runs_at_the_same_time_wait_for_each_other(empty: str) -> None:
    with ThreadPoolExecutor(2) as operators, psycopg.connect(empty) as in_the_way:
        in_the_way.execute("CREATE TABLE users (); CREATE TABLE events ()")
        runs = [operators.submit(run_migrate, empty) for _ in range(2)]
        until(lambda: waiting(empty) == 1)
        until(lambda: len(column(empty, MIGRATING)) == 2)
        in_the_way.rollback()

    assert all(succeeded(run.result()) for run in runs)
    assert tables(empty) == TABLES["users-api"]
    assert column(empty, "SELECT version_num FROM users_api_revision") == REVISIONS


def waiting(url: str) -> int:
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return len(column(url, query))


def test_all_services_share_a_database_and_schema_if_they_must(empty: str) -> None:
    with ThreadPoolExecutor(len(PACKAGES)) as operators:
        runs = list(operators.map(run_migrate, len(PACKAGES) * [empty], PACKAGES))

    assert all(succeeded(run) for run in runs)
    assert tables(empty) == set().union(*TABLES.values())
    for program, packages in PACKAGES.items():
        migrate(empty, service=program.replace("-", "_"), packages=packages)  # again: nothing to do, nobody else's


def test_a_service_adopts_what_another_one_has_applied_however_far_that_is(empty: str) -> None:
    migrate(empty, service="users_api", packages=USERS_MIGRATIONS)
    with psycopg.connect(empty) as connection:  # as it was before the outbox had schedules
        connection.execute(NEWER)
        connection.execute("UPDATE users_api_revision SET version_num = 'messaging_0004' WHERE version_num ~ 'messag'")
        connection.execute("CREATE TABLE foreign_revision (number int)")

    for program in ("auditor", "users-api", "auditor"):
        assert succeeded(run_migrate(empty, program))

    assert tables(empty) == TABLES["users-api"] | TABLES["auditor"] | {"foreign_revision"}
    assert column(empty, "SELECT version_num FROM users_api_revision") == REVISIONS
    assert "messaging_0010" in column(empty, "SELECT version_num FROM auditor_revision")


def test_tables_go_where_the_search_path_says_and_nowhere_else(empty: str) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute("CREATE SCHEMA foo")
    in_foo = f"{empty}?options=-csearch_path%3Dfoo"

    assert succeeded(run_migrate(in_foo))
    migrate(in_foo, service="users_api", packages=USERS_MIGRATIONS)  # again

    assert tables(empty, "foo") == TABLES["users-api"]
    assert tables(empty) == set()
    migrate(empty, service="users_api", packages=USERS_MIGRATIONS)  # beside it
    assert tables(empty) == TABLES["users-api"]


def test_addresses_that_were_registered_keep_their_owner_when_they_are_compared_in_another_way(empty: str) -> None:
    assert succeeded(run_migrate(empty))
    old = {
        "a@faß.de": "a@fass.de",
        "Straße@x.de": "strasse@x.de",
        "A@x.de": "a@x.de",
        "\u017f@y.de": "s@y.de",
        "é@y.de": "x",
    }
    with psycopg.connect(empty) as connection:
        insert = "INSERT INTO users (email, email_key, full_name) VALUES (%s, %s, 'Someone')"
        connection.cursor().executemany(insert, [*old.items(), ("nobody's", "é@y.de")])
        connection.execute("UPDATE users_api_revision SET version_num = 'users_0002' WHERE version_num LIKE 'users%'")

    assert succeeded(run_migrate(empty))

    with psycopg.connect(empty) as connection:
        keys: dict[str, str] = dict(connection.execute("SELECT email, email_key FROM users").fetchall())
    assert keys == {
        "a@faß.de": "a@faß.de",
        "Straße@x.de": "straße@x.de",
        "A@x.de": "a@x.de",
        "\u017f@y.de": "s@y.de",
        "é@y.de": "x",
        "nobody's": "é@y.de",
    }


def before_cancelling(url: str) -> None:
    """Make the tables as they were before messaging_0003, with a delivery in each state that there was."""
    assert succeeded(run_migrate(url))
    with psycopg.connect(url) as connection:
        connection.execute(NEWER)
        connection.execute(
            """
            ALTER TABLE deliveries DROP CONSTRAINT deliveries_state_check, ADD CONSTRAINT deliveries_state_check CHECK
                (state IN ('pending', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'uncertain'));
            UPDATE users_api_revision SET version_num = 'messaging_0002' WHERE version_num LIKE 'messaging%';
            ALTER TABLE deliveries DROP COLUMN reference;
            INSERT INTO events VALUES (gen_random_uuid(), 'x', 'x', '{}', now());
            INSERT INTO deliveries (event_id, subscription, state, due_at, lease_until)
            SELECT id, state, state, CASE WHEN state IN ('pending', 'retrying') THEN now() END,
                CASE WHEN state IN ('queued', 'running') THEN now() END
            FROM events, unnest(ARRAY['pending', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'uncertain'])
                AS state
            """
        )


def test_an_old_table_of_deliveries_may_hold_cancelled_ones_and_no_unknown_ones(empty: str) -> None:
    before_cancelling(empty)
    rows = "SELECT (to_jsonb(deliveries) - 'reference' - 'first_due_at' - 'confirmed_by')::text FROM deliveries"
    before = column(empty, rows)

    assert succeeded(run_migrate(empty))

    assert column(empty, rows) == before
    with psycopg.connect(empty) as connection:
        connection.execute("UPDATE deliveries SET state = 'cancelled', due_at = NULL WHERE state = 'pending'")
        with pytest.raises(psycopg.errors.CheckViolation, match="deliveries_state_check"):
            connection.execute("UPDATE deliveries SET state = 'forgotten' WHERE state = 'failed'")


def test_while_something_reads_the_deliveries_the_migration_gives_up_and_holds_up_no_registration(empty: str) -> None:
    before_cancelling(empty)
    with psycopg.connect(empty) as backup:
        backup.execute("SELECT FROM deliveries")

        run = run_migrate(empty)

    assert (run.returncode, run.stderr) == (
        1,
        "users-api migrate: 55P03: canceling statement due to lock timeout. Nothing was changed.\n",
    )
    assert column(empty, "SELECT version_num FROM users_api_revision") == {"users_0003", "messaging_0002"}
    assert succeeded(run_migrate(empty)), "when it has ended"


def test_a_failed_migration_leaves_nothing_behind(empty: str) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute("CREATE TABLE deliveries (in_the_way int)")

    with pytest.raises(Exception, match='relation "deliveries" already exists'):
        migrate(empty, service="users_api", packages=USERS_MIGRATIONS)

    assert tables(empty) == {"deliveries"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (lambda server: server.url("nowhere"), 'database "nowhere" does not exist'),
        (lambda _: f"postgresql://postgres@127.0.0.1:{free_port()}/users", "Connection refused"),
    ],
)
def test_without_the_database_it_ends_with_one_clear_message(
    postgres: Postgres, url: Callable[[Postgres], str], says: str
) -> None:
    run = run_migrate(url(postgres))

    assert run.returncode == 1
    assert says in run.stderr
    assert "Check DATABASE_URL" in run.stderr
    assert "Traceback" not in run.stderr
