"""What databases and roles set is nothing to Herald: each connection sets what it needs, and refuses what can't be."""

import asyncio
from collections.abc import Callable
from itertools import count

import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs
from tests.patience import until

from contracts import Event, EventData, UserRegistered
from devstack.postgres import Postgres
from messaging.errors import DatabaseUnsuitable
from messaging.process import session
from messaging.process.database import connect, open_pool
from messaging.process.migrate import migrate
from messaging.publishing.switches import effects_of
from users_api import MIGRATIONS
from users_api.pool import Pool as UsersPool

from .live_api import is_problem, serving
from .programs import PROGRAMS, refused, run

Publish = Callable[..., list[Event[EventData]]]

HOSTILE = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "default_transaction_isolation": "serializable",
    "synchronous_commit": "off",
    "idle_session_timeout": "1min",
    "client_encoding": "LATIN1",
}
NEEDED = session.PARAMETERS | {"client_encoding": "UTF8"}
_numbers = count()


def alter(url: str, **settings: str) -> str:
    """Let a database set something for each connection, and return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        for setting, value in settings.items():
            altered = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(altered.format(name, sql.Identifier(setting), sql.Literal(value)))
    return url


@pytest.fixture
def hostile(users_database: str) -> str:
    """A migrated database that sets everything otherwise."""
    return alter(users_database, **HOSTILE)


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def not_utf8(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database that can't hold every name."""
    name = f"not_utf8_{next(_numbers)}"
    made = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE_PROVIDER libc LOCALE 'C'")
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(made.format(sql.Identifier(name), sql.Literal(request.param)))
    return postgres.url(name)


def shown(connection: psycopg.Connection[object]) -> dict[str, str]:
    return {name: show(connection, name) for name in NEEDED}


def show(connection: psycopg.Connection[object], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return str(row[0]) if isinstance(row, tuple) else ""


def test_every_kind_of_connection_has_what_herald_needs(hostile: str) -> None:
    with psycopg.connect(hostile) as unprepared:
        assert all(shown(unprepared)[name] != value for name, value in NEEDED.items())
    with connect(hostile, name="test") as single:
        assert shown(single) == NEEDED
    with open_pool(hostile, size=1, name="test", settings=("enable_seqscan = off",)) as pool, pool.connection() as lent:
        assert shown(lent) == NEEDED
        assert show(lent, "enable_seqscan") == "off"
    assert asyncio.run(shown_by_the_api(hostile)) == NEEDED | {"enable_seqscan": "off", "lock_timeout": "500ms"}


async def shown_by_the_api(url: str) -> dict[str, str]:
    found = {}
    async with UsersPool(url) as pool, pool.connection() as connection:
        for name in [*NEEDED, "enable_seqscan", "lock_timeout"]:
            row = await (await connection.execute("SELECT current_setting(%s) AS value", (name,))).fetchone()
            found[name] = row["value"] if row else ""
    return found


def test_what_the_url_sets_does_not_count_either(users_database: str) -> None:
    url = f"{users_database}?client_encoding=LATIN1&options=-cDateStyle%3DSQL%20-csynchronous_commit%3Doff"
    with connect(url, name="test") as connection:
        assert shown(connection) == NEEDED


def test_a_stricter_commit_stays_and_a_relay_may_have_a_laxer_one(users_database: str) -> None:
    alter(users_database, synchronous_commit="remote_apply")
    with connect(users_database, name="test") as connection:
        assert show(connection, "synchronous_commit") == "remote_apply"
    with connect(users_database, name="test", settings=("synchronous_commit = off",)) as connection:
        assert show(connection, "synchronous_commit") == "off"


def test_users_are_registered_and_read_whatever_the_database_sets(hostile: str) -> None:
    with serving(hostile) as http:
        registered = http.post("/users", json={"email": "maya@example.com", "full_name": "Māya 陳"})
        assert registered.status_code == 201
        assert http.get("/users").json()["users"][0]["full_name"] == "Māya 陳"
        user = http.get(registered.headers["location"]).json()
        assert user["created_at"].endswith(("Z", "+00:00"))
        assert len(http.get(f"/users/{user['id']}/deliveries").json()["deliveries"]) == len(effects_of(UserRegistered))
        assert http.get("/readyz").status_code == 200
    listed = run("users-api", "deliveries", "list", "--state=pending", DATABASE_URL=hostile)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.count("users/") == 2


def test_the_audit_log_is_printed_whatever_the_database_sets(new_database: Callable[[str], str]) -> None:
    url = alter(new_database("auditor"), **HOSTILE)
    with connect(url, name="test") as connection:
        connection.execute(
            "INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)"
            " VALUES (gen_random_uuid(), 'user_registered', 'maya@example.com', 1, 'test', '2026-03-04T05:06:07Z')"
        )
    printed = run("auditor", "log", DATABASE_URL=url)
    assert printed.stdout == "2026-03-04T05:06:07.000+00:00 | user_registered | maya@example.com\n"


def test_migrations_run_whatever_the_database_sets(postgres: Postgres) -> None:
    postgres.create_database("hostile")
    url = alter(postgres.url("hostile"), **HOSTILE)

    migrate(url, service="users_api", packages=MIGRATIONS)

    with serving(url) as http:
        assert http.get("/readyz").status_code == 200


# What can't be set


@pytest.mark.parametrize("command", PROGRAMS)
@pytest.mark.parametrize("not_utf8", ["LATIN1"], indirect=True)
def test_each_program_refuses_a_database_that_cannot_hold_every_name(command: str, not_utf8: str) -> None:
    refused(command, not_utf8, "the database's encoding is LATIN1, and Herald needs UTF8.")


def test_nothing_is_made_in_a_database_that_is_refused(not_utf8: str) -> None:
    with pytest.raises(DatabaseUnsuitable, match="encoding"):
        migrate(not_utf8, service="users_api", packages=MIGRATIONS)

    with psycopg.connect(not_utf8) as connection:
        assert connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").rowcount == 0


@pytest.mark.usefixtures("reported_anew")
def test_what_shows_only_later_is_said_once_and_nothing_is_ready(not_utf8: str) -> None:
    with capture_logs() as log, serving(not_utf8) as http, open_pool(not_utf8, size=1, name="test"):
        until(lambda: "encoding" in str(http.get("/readyz").json()["checks"]["postgresql"]))
        assert is_problem(http.get("/readyz"), 503)
        assert is_problem(http.get("/users"), 503)

    [said] = [entry for entry in log if entry["event"] == "database.unsuitable"]
    assert said["log_level"] == "error"


def test_a_database_that_is_too_old_is_refused() -> None:
    with pytest.raises(DatabaseUnsuitable, match="PostgreSQL 13 is too old: Herald needs 14 or newer"):
        session.Session(parameters=0, backend=7, encoding="UTF8", version=13).require_suitable(7, "")
