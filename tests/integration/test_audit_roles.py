"""The role that auditors connect as: it writes, and it can change or delete nothing."""

import os
from dataclasses import dataclass
from itertools import count
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from tests.conftest import user_registered
from tests.patience import until

from auditor.chain.sealing import try_seal
from auditor.handlers import record
from devstack.postgres import Postgres
from devstack.processes import Process
from devstack.programs import program
from devstack.redis_server import RedisServer
from messaging.process.database import connect

from .audit_world import Audit

_numbers = count()


@dataclass
class Roles:
    """A database with an owner that is no superuser, and a writer."""

    owner: Audit
    writer: Audit
    writer_name: str


OWNER, WRITER, MIGRATED = "audit_owner", "audit_writer", "audit_roles"


@pytest.fixture(scope="module")
def migrated(postgres: Postgres) -> None:
    """Both roles, and a database that the owner has migrated for the writer, to be copied."""
    execute(postgres, "CREATE ROLE {owner} LOGIN", MIGRATED)
    execute(postgres, "CREATE ROLE {writer} LOGIN", MIGRATED)
    owner = make(postgres, MIGRATED, "template0").owner
    for _ in range(2):  # as often as you like
        migrated = owner.run("migrate", AUDITOR_WRITER=WRITER)
        assert migrated.returncode == 0, migrated.stderr


@pytest.fixture
def roles(postgres: Postgres, migrated: None) -> Roles:
    return make(postgres, f"{MIGRATED}_{next(_numbers)}", MIGRATED)


def make(postgres: Postgres, database: str, template: str) -> Roles:
    execute(postgres, f"CREATE DATABASE {{database}} OWNER {{owner}} TEMPLATE {template}", database)
    execute(postgres, "REVOKE ALL ON DATABASE {database} FROM PUBLIC", database)
    execute(postgres, "GRANT CONNECT ON DATABASE {database} TO {writer}", database)
    url = postgres.url(database)
    owner, writer = (Audit(url.replace("postgres@", f"{role}@")) for role in (OWNER, WRITER))
    return Roles(owner, writer, WRITER)


def execute(postgres: Postgres, statement: LiteralString, database: str) -> None:
    names = {"database": sql.Identifier(database), "owner": sql.Identifier(OWNER), "writer": sql.Identifier(WRITER)}
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(**names))


def test_it_records_seals_reads_and_verifies(roles: Roles) -> None:
    roles.writer.write_sealed((1, 2), (3,))

    assert roles.writer.verify().rows == 3
    assert len(roles.writer.run("log").stdout.splitlines()) == 3
    assert roles.writer.run("verify").returncode == roles.writer.run("export").returncode == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET email = 'x'",
        "UPDATE audit_log SET email = NULL, user_id = NULL, commitment = '\\x00' WHERE id = 1",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_seals SET salts = ''",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
        "TRUNCATE audit_unsealed",
        "UPDATE audit_unsealed SET ids = '{}'",
        "ALTER TABLE audit_log DISABLE TRIGGER audit_log_append_only",
        "DROP TRIGGER audit_log_append_only ON audit_log",
        "DROP TABLE audit_log",
        "DROP FUNCTION audit_log_refuse_change CASCADE",
        "CREATE OR REPLACE FUNCTION audit_log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "SET session_replication_role = replica",
        "CREATE TABLE mine ()",
        "ALTER TABLE audit_seals ADD mine int",
        "SELECT * FROM auditor_revision",
    ],
)
def test_it_can_do_nothing_else(roles: Roles, statement: str) -> None:
    roles.writer.write_sealed((1,))

    with pytest.raises(psycopg.errors.InsufficientPrivilege), roles.writer.connection() as connection:
        connection.execute(statement.encode())

    assert roles.owner.verify().rows == 1


@pytest.mark.parametrize("ids", ["{}", "{NULL}", "{NULL,1}", "{{1,2},{3,4}}", "{{1},{NULL}}"])
def test_it_cannot_queue_what_no_sealer_can_seal(roles: Roles, ids: str) -> None:
    refusals = (psycopg.errors.CheckViolation, psycopg.errors.FeatureNotSupported)

    with pytest.raises(refusals), roles.writer.connection() as connection:
        connection.execute("INSERT INTO audit_unsealed (ids) VALUES (%s::bigint[])", [ids])
    with pytest.raises(refusals), roles.writer.connection() as connection:
        connection.execute("INSERT INTO audit_unsealed (ids) SELECT array_agg(i) FROM generate_series(1, 10001) AS i")

    roles.writer.write_sealed((1,))
    assert roles.owner.verify().rows == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET email = 'x'",
        "UPDATE audit_log SET email = NULL",
        "UPDATE audit_log SET email = NULL, user_id = NULL",
        "UPDATE audit_log SET commitment = '\\x00'",
        "UPDATE audit_log SET email = NULL, user_id = NULL, commitment = '\\x00', action = 'x'",
        "UPDATE audit_log SET email = NULL, user_id = NULL, commitment = '\\x00', erased = '{1}'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_seals SET hash = '\\x00'",
        "UPDATE audit_seals SET salts = '\\x00', row_ids = '{}'",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
    ],
)
def test_triggers_stop_the_owner_too_unless_it_removes_them(roles: Roles, statement: str) -> None:
    roles.writer.write_sealed((1,))

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"), roles.owner.connection() as owner:
        owner.execute(statement.encode())


def test_the_owner_erases_and_the_writer_is_sent_to_it(roles: Roles) -> None:
    roles.writer.write_sealed((1,))

    refused = roles.writer.run("erase", "--user", "1", "--yes")
    assert refused.returncode == 1
    assert "Connect as the owner" in refused.stderr
    assert roles.owner.run("erase", "--user", "1", "--yes").returncode == 0
    assert roles.writer.run("verify").stdout == "verified: 2 rows in 2 seals, 0 waiting, 1 erased by 1 erasure\n"


def test_a_writer_that_does_not_exist_is_named(roles: Roles) -> None:
    refused = roles.owner.run("migrate", AUDITOR_WRITER="a_typo")

    assert refused.returncode == 1
    assert 'AUDITOR_WRITER: 42704: role "a_typo" does not exist' in refused.stderr


def test_it_works_in_a_schema_of_its_own(roles: Roles) -> None:
    with roles.owner.connection() as owner:
        owner.execute("CREATE SCHEMA apart")
    url = f"{roles.owner.url}?options=-csearch_path%3Dapart"
    migrated = Audit(url).run("migrate", AUDITOR_WRITER=roles.writer_name)
    assert migrated.returncode == 0, migrated.stderr

    with connect(f"{roles.writer.url}?options=-csearch_path%3Dapart", name="test") as connection:
        record(connection, [user_registered(1)])
        assert try_seal(connection)
    assert Audit(url).verify().rows == 1
    assert roles.owner.verify().rows == 0


def test_it_has_rights_on_every_table_but_the_migrations(roles: Roles) -> None:
    """A table that a migration adds is in this test without being named here."""
    tables = {table for (table,) in roles.owner.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    granted = roles.owner.query(
        "SELECT table_name, string_agg(privilege_type, ', ' ORDER BY privilege_type)"
        " FROM information_schema.table_privileges WHERE grantee = %s GROUP BY table_name",
        [roles.writer_name],
    )

    assert dict(granted) == dict.fromkeys(tables - {"auditor_revision"}, "DELETE, INSERT, SELECT, UPDATE") | {
        "audit_log": "INSERT, SELECT",
        "audit_seals": "INSERT, SELECT",
        "audit_unsealed": "DELETE, INSERT, SELECT",
        "reports": "INSERT, SELECT",
    }


def test_the_auditors_relay_does_all_its_work_as_the_writer(roles: Roles, redis_server: RedisServer) -> None:
    """It carries out what operators asked for, and forgets what is old: the last of its housekeeping."""
    operations = "INSERT INTO operations (action, filter, state, eligible, exact, finished_at) VALUES "
    with roles.owner.connection() as owner:
        owner.execute(operations + "('retry', '{}', 'done', 0, true, now() - interval '1 year')")
        owner.execute(operations + """('retry', '{"states": ["failed"]}', 'running', 0, true, NULL)""")
    lines: list[str] = []
    given = {**os.environ, "DATABASE_URL": roles.writer.url, "REDIS_URL": redis_server.url}
    relay = Process("relay", [program("auditor"), "relay"], output=lines.append, env=given)
    relay.start()
    try:
        until(lambda: roles.owner.query("SELECT state FROM operations") == [("done",)] or "42501" in "".join(lines))
    finally:
        relay.stop()

    assert "42501" not in "".join(lines), lines
