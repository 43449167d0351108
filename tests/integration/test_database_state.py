"""PostgreSQL answers, but not as Herald needs it: rights, columns, keys or types differ. It is 503, and it heals."""

import asyncio
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs
from tests.patience import until

from users_api import error_handlers, queries
from users_api.database import using
from users_api.pool import Connection, Pool

from .live_api import MAYA, is_problem, serving

Owner = psycopg.Connection[tuple[object, ...]]

ROLE = "herald_api"
GRANT = (
    f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ROLE};"
    f" GRANT USAGE ON SCHEMA public TO {ROLE}"
)


@pytest.fixture
def database(users_database: str) -> Iterator[Owner]:
    """The owner of the tables, who may change them under Herald's feet."""
    with psycopg.connect(users_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def http(users_database: str, database: Owner, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """An API with a role of its own; it has registered Maya, and said nothing of the database yet."""
    monkeypatch.setattr(error_handlers, "_unfit", error_handlers._Reminder())
    if not database.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
        database.execute(f"CREATE ROLE {ROLE} LOGIN")
    database.execute(f"ALTER ROLE {ROLE} RESET ALL; {GRANT}")
    with serving(users_database.replace("postgres@", f"{ROLE}@")) as client:
        assert register(client, "maya").status_code == 201
        yield client


def register(http: httpx.Client, name: str) -> httpx.Response:
    return http.post("/users", json=MAYA | {"email": f"{name}@example.com"})


def ready(http: httpx.Client) -> bool:
    return http.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("broken", "mended", "sqlstate"),
    [
        (f"REVOKE INSERT ON users FROM {ROLE}", GRANT, "42501"),
        (f"REVOKE SELECT ON users FROM {ROLE}", GRANT, "42501"),
        (f"REVOKE INSERT ON deliveries FROM {ROLE}", GRANT, "42501"),
        (f"REVOKE SELECT ON idempotency_keys FROM {ROLE}", GRANT, "42501"),
        (f"REVOKE ALL ON SEQUENCE users_id_seq FROM {ROLE}", GRANT, "42501"),
        ("ALTER TABLE users RENAME full_name TO name", "ALTER TABLE users RENAME name TO full_name", "42703"),
        ("ALTER TABLE events RENAME envelope TO body", "ALTER TABLE events RENAME body TO envelope", "42703"),
        ("ALTER TABLE deliveries RENAME TO effects", "ALTER TABLE effects RENAME TO deliveries", "42P01"),
        (
            "ALTER TABLE users DROP CONSTRAINT users_email_key_key",
            "ALTER TABLE users ADD CONSTRAINT users_email_key_key UNIQUE (email_key)",
            "42P10",
        ),
        (
            "ALTER TABLE events ALTER envelope TYPE bytea USING NULL, ALTER envelope DROP NOT NULL",
            "TRUNCATE events CASCADE; ALTER TABLE events ALTER envelope TYPE json USING NULL",
            "42804",
        ),
    ],
)
def test_what_the_database_lacks_is_503_and_not_ready_until_it_is_there_again(
    http: httpx.Client, database: Owner, broken: str, mended: str, sqlstate: str
) -> None:
    assert ready(http)
    with capture_logs() as log:
        database.execute(broken.encode())

        for answer in (register(http, "ann"), register(http, "bob")):
            assert is_problem(answer, 503)
            assert answer.headers["retry-after"] == "2"
        readiness = http.get("/readyz")
        assert is_problem(readiness, 503)
        assert readiness.json()["checks"]["postgresql"].startswith(sqlstate)
        assert [each["sqlstate"] for each in log if each["log_level"] == "error"] == [sqlstate], "said once"

    database.execute(mended.encode())
    assert ready(http)
    assert register(http, "ann").status_code == 201


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (f"REVOKE USAGE ON SCHEMA public FROM {ROLE}, PUBLIC", "GRANT USAGE ON SCHEMA public TO PUBLIC"),
        (f"ALTER ROLE {ROLE} SET search_path = elsewhere", f"ALTER ROLE {ROLE} RESET search_path"),
        ("ALTER TABLE users_api_revision SET SCHEMA other", "ALTER TABLE other.users_api_revision SET SCHEMA public"),
    ],
)
def test_tables_that_are_there_but_not_to_be_seen_are_not_called_missing(
    http: httpx.Client, database: Owner, broken: str, mended: str
) -> None:
    database.execute("CREATE SCHEMA other")
    database.execute(broken.encode())
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [ROLE])
    schema = "other" if "SCHEMA other" in broken else "public"

    until(lambda: not ready(http))
    checks = http.get("/readyz").json()["checks"]
    assert checks == {
        "postgresql": f"users_api_revision is in schema {schema}, but can't be seen: check search_path and rights",
        "migrations": "unknown",
    }

    database.execute(mended.encode())
    until(lambda: ready(http))


def test_tables_that_are_not_there_are_to_be_migrated(http: httpx.Client, database: Owner) -> None:
    database.execute("DROP TABLE users_api_revision")
    checks = http.get("/readyz").json()["checks"]
    assert checks["postgresql"] == "ok"
    assert checks["migrations"].endswith("not applied. Run: users-api migrate")


@pytest.mark.parametrize(
    ("table", "path"), [("users", "/users/1"), ("users", "/users"), ("deliveries", "/users/1/deliveries")]
)
def test_what_cannot_be_read_is_503_and_not_ready(http: httpx.Client, database: Owner, table: str, path: str) -> None:
    database.execute(f"REVOKE SELECT ON {table} FROM {ROLE}")

    answer = http.get(path)
    assert is_problem(answer, 503)
    assert answer.headers["retry-after"] == "2"
    assert not ready(http)

    database.execute(GRANT)
    assert http.get(path).status_code == 200
    assert ready(http)


def test_a_column_that_must_have_a_value_is_503_too(http: httpx.Client, database: Owner) -> None:
    database.execute("ALTER TABLE users ADD must int NOT NULL DEFAULT 1; ALTER TABLE users ALTER must DROP DEFAULT")
    assert is_problem(register(http, "ann"), 503)

    database.execute("ALTER TABLE users DROP must")
    assert register(http, "ann").status_code == 201


def test_a_column_of_another_type_costs_no_request(http: httpx.Client, database: Owner) -> None:
    paths = ("/users/1", "/users", "/users/1/deliveries")
    for _ in range(20):  # so that the statements are prepared, on more than one connection
        assert {http.get(path).status_code for path in paths} == {200}

    database.execute("ALTER TABLE users ALTER full_name TYPE varchar(300)")
    database.execute("ALTER TABLE deliveries ALTER last_error TYPE varchar(600)")

    for _ in range(5):
        assert {http.get(path).status_code for path in paths} == {200}
    assert register(http, "ann").status_code == 201


def test_connections_made_while_a_setting_was_wrong_are_renewed(http: httpx.Client, database: Owner) -> None:
    database.execute(f"ALTER ROLE {ROLE} SET default_transaction_read_only = on")
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [ROLE])
    until(lambda: register(http, "ann").status_code == 503)
    assert not ready(http)

    database.execute(f"ALTER ROLE {ROLE} RESET default_transaction_read_only")

    until(lambda: register(http, "ann").status_code == 201)
    until(lambda: ready(http))


@pytest.mark.parametrize(
    ("setting", "broken"),
    [("statement_timeout", 100), ("search_path", "nowhere"), ("default_transaction_read_only", "on")],
)
def test_once_a_setting_is_mended_one_error_renews_all_connections(
    users_database: str, database: Owner, monkeypatch: pytest.MonkeyPatch, setting: str, broken: object
) -> None:
    monkeypatch.setattr("messaging.process.database.RENEW_SECONDS", 0)
    name = database.info.dbname

    async def work(connection: Connection) -> None:
        await connection.execute("INSERT INTO users (email) SELECT '' FROM pg_sleep(0.3) AS slept WHERE slept IS NULL")

    async def scene() -> None:
        async with Pool(users_database) as pool:
            await pool.wait()
            database.execute(f"ALTER DATABASE {name} RESET {setting}".encode())
            with pytest.raises(psycopg.Error):
                await using(pool, work)
            for _ in range(3):
                await using(pool, work)

    database.execute(f"ALTER DATABASE {name} SET {setting} = {broken}".encode())
    asyncio.run(scene())


def test_statements_that_the_server_has_forgotten_are_prepared_anew(users_database: str) -> None:
    async def scene() -> None:
        async def forget(connection: Connection) -> None:
            connection.pgconn.exec_(b"DEALLOCATE ALL")  # not by way of psycopg, which would notice

        pool = Pool(users_database)
        async with pool:
            for _ in range(30):
                await queries.user(pool, 1)
            for _ in range(4):
                await using(pool, forget)
            for _ in range(30):
                assert await queries.user(pool, 1) is None

    asyncio.run(scene())


def test_readiness_leaves_nothing_behind(http: httpx.Client, database: Owner) -> None:
    def written() -> list[tuple[object, ...]]:
        return database.execute("SELECT last_value, (SELECT count(*) FROM deliveries) FROM users_id_seq").fetchall()

    before = written()
    for _ in range(10):
        assert ready(http)
    assert written() == before
