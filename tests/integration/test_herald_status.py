"""`herald status` and `herald doctor`: is everything well, and what to do if not?"""

import json
import re
import signal
import socket
from collections.abc import Callable, Iterator

import pytest
import redis
from tests.patience import until

from contracts import AUDIT_LOG, WELCOME_EMAIL
from devstack.mailbox import Mailbox
from devstack.ports import free_port
from devstack.redis_server import RedisServer
from messaging.process.database import Pool
from users_api.herald import status

from .herald_cli import Terminal, herald, rows
from .searched import write_recent as write
from .users_cli import execute, printed, refused

Given = dict[str, str]


@pytest.fixture
def given(users_database: str, redis_server: RedisServer, redis_client: redis.Redis) -> Given:
    """The environment of a command that may look into everything but the mail server."""
    return {"DATABASE_URL": users_database, "REDIS_URL": redis_server.url}


@pytest.fixture
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    box = Mailbox(tmp_path_factory.mktemp("mail"))
    box.start()
    yield box
    box.stop()


# status


def test_status_counts_by_subscription_and_shows_who_is_at_work(given: Given, users_pool: Pool) -> None:
    for user, state in enumerate(("failed", "failed", "uncertain", "retrying"), 1):
        write(users_pool, user, state, "550 no such user")

    lines = printed(herald("status", **given)).splitlines()

    table = {each["subscription"]: each for each in rows("\n".join(line for line in lines if line.count("\t") > 3))}
    counts = [table["audit_log"][state] for state in ("failed", "uncertain", "retrying", "pending")]
    assert counts == ["2", "1", "1", "0"]
    servers = dict(line.split("\t") for line in lines if line.count("\t") == 1)
    assert servers["last error"].endswith(": 550 no such user")
    assert "noeviction" in servers["redis"]
    assert servers["relay"] == servers["worker"] == "none"


@pytest.mark.parametrize("options", [[], ["--watch"]], ids=["once", "watch"])
def test_a_narrow_terminal_shows_whole_numbers(given: Given, users_pool: Pool, options: list[str]) -> None:
    for user, state in enumerate(("failed", "uncertain", "retrying", "pending", "queued", "running"), 1):
        write(users_pool, user, state, "550 no such user")
    execute(given["DATABASE_URL"], "UPDATE deliveries SET queued_at = now() - interval '93 s' WHERE state = 'queued'")

    terminal = Terminal("status", *options, **given, COLUMNS="80")
    terminal.until_shown("noeviction")
    terminal.process.kill()
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.finish()[1])

    headings = "subscription late by pending queued running retrying failed uncertain"
    assert headings in " ".join(shown.split())
    assert re.search(r"audit_log +1 min 3\d s +1 +1 +1 +1 +1 +1 ", shown)
    assert "A wider terminal also shows: oldest, done in 1 h, median, p95." in shown


def test_status_says_what_has_been_running_for_longest(given: Given, users_pool: Pool) -> None:
    for user in (1, 2):
        write(users_pool, user, "running")
    execute(
        given["DATABASE_URL"],
        "UPDATE deliveries SET started_at = '2026-11-30T12:00Z' WHERE event_id = ("
        "SELECT id FROM events WHERE subject = 'users/2')",
    )

    assert "running\taudit_log of users/2, since 2026-11-30 12:00:00\n" in printed(herald("status", **given))


@pytest.mark.parametrize(
    ("quantile", "mean", "told"), [(12.0, 1.0, "< 12 s"), (None, 9000.0, "> 2 h"), (None, None, "-")]
)
def test_a_lag_is_a_bound(quantile: float | None, mean: float | None, told: str) -> None:
    assert status._lag(quantile, mean) == told


def test_status_names_the_command_that_says_why(given: Given, users_pool: Pool) -> None:
    assert "deliveries groups" not in Terminal("status", **given).finish()[1]
    write(users_pool, 1, "failed", "550 no such user")
    assert "See why: herald deliveries groups" in Terminal("status", **given).finish()[1]


def test_status_as_json_is_that_of_the_api(given: Given) -> None:
    answer = json.loads(printed(herald("status", "--json", **given)))

    assert [each["name"] for each in answer["subscriptions"]][:1] == ["welcome_email"]
    assert answer["redis"]["fault"] is None


def test_without_redis_the_rest_is_shown(users_database: str) -> None:
    assert "REDIS_URL isn't set" in printed(herald("status", DATABASE_URL=users_database))


def test_without_postgresql_status_says_so_in_one_line(given: Given) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/users"
    line = refused(herald("status", **given | {"DATABASE_URL": url}))
    assert "Check DATABASE_URL" in line
    assert "secret" not in line
    assert "DATABASE_URL" in refused(herald("status"))


def test_a_table_that_is_missing_is_named(given: Given) -> None:
    execute(given["DATABASE_URL"], "ALTER TABLE delivery_counts RENAME TO counts")

    assert 'relation "delivery_counts" does not exist' in refused(herald("status", **given))
    assert "users-api migrate" in wrong(given)["deliveries"]["what to do"]


def test_watch_looks_again_until_ctrl_c(given: Given, users_pool: Pool) -> None:
    terminal = Terminal("status", "--watch", "--every=0.2", **given)
    terminal.until_shown("Ctrl-C ends")

    write(users_pool, 1, "failed", "one that is new")
    terminal.until_shown("one that is new")
    terminal.process.send_signal(signal.SIGINT)

    status, shown = terminal.finish()
    assert status == 0
    assert "Traceback" not in shown


def test_watch_prints_a_line_of_json_each_time(given: Given) -> None:
    terminal = Terminal("status", "--watch", "--every=0.2", **given)
    terminal.until_shown("noeviction")
    terminal.process.kill()
    terminal.finish()


# doctor


def diagnose(given: Given, **more: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit status, and what was found by each check."""
    run = herald("doctor", **given | more)
    assert run.stderr == ""
    return run.returncode, {each["check"]: each for each in rows(run.stdout)}


@pytest.mark.usefixtures("running_relay")
def test_a_healthy_system_is_all_ok(given: Given, consume: Callable[..., None], mailbox: Mailbox) -> None:
    consume(AUDIT_LOG, lambda event: None)
    consume(WELCOME_EMAIL, lambda event: None)

    def is_well() -> bool:
        return diagnose(given, MAIL_URL=mailbox.url)[0] == 0

    until(is_well)
    _, found = diagnose(given, MAIL_URL=mailbox.url)
    assert {each["verdict"] for each in found.values()} == {"ok"}
    assert found.keys() >= {"postgresql", "migrations", "redis", "redis rights", "redis policy", "clock of redis"}
    assert found.keys() >= {"relay", "worker of notifier", "worker of auditor", "deliveries", "mail server"}


def wrong(given: Given, **more: str) -> dict[str, dict[str, str]]:
    """Return what is wrong. Each finding names its remedy, and the exit status says that there is one."""
    status, found = diagnose(given, **more)
    shown = {check: each for check, each in found.items() if each["verdict"] == "wrong"}
    assert all(each["what to do"] for each in found.values() if each["verdict"] != "ok")
    assert status == bool(shown)
    return shown


def test_nothing_at_work_is_wrong(given: Given) -> None:
    shown = wrong(given)
    assert set(shown) == {"relay", "worker of notifier", "worker of auditor"}
    assert shown["relay"]["what to do"] == "users-api relay"


def test_postgresql_away_is_wrong_and_the_rest_is_checked(given: Given) -> None:
    shown = wrong(given, DATABASE_URL=f"postgresql://me:secret@127.0.0.1:{free_port()}/users")
    assert set(shown) == {"postgresql"}
    assert "Connection refused" in shown["postgresql"]["found"]


def test_redis_away_is_wrong(given: Given) -> None:
    shown = wrong(given, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert set(shown) == {"redis"}


def test_missing_migrations_are_wrong(given: Given, new_database: Callable[[str], str]) -> None:
    execute(given["DATABASE_URL"], "DELETE FROM users_api_revision WHERE version_num LIKE 'users_%%'")
    assert "users-api migrate" in wrong(given)["migrations"]["what to do"]
    assert set(wrong(given, DATABASE_URL=new_database("notifier"))) == {"migrations"}


def test_a_redis_that_may_evict_is_wrong(given: Given, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        shown = wrong(given)
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    assert "allkeys-lru" in shown["redis policy"]["found"]


def test_a_full_redis_is_wrong(given: Given, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", "100kb")
    try:
        shown = wrong(given)
    finally:
        redis_client.config_set("maxmemory", "0")
    assert {"redis memory", "redis rights"} <= set(shown)
    assert "used memory > 'maxmemory'" in shown["redis rights"]["found"]


def test_a_right_that_is_missing_is_named(given: Given, redis_client: redis.Redis) -> None:
    rules = ["reset", "on", ">pw", "~*", "+@all", "-set", "-info"]
    redis_client.execute_command("ACL", "SETUSER", "doctor", *rules)  # type: ignore[no-untyped-call]  # redis-py
    try:
        shown = wrong(given, REDIS_URL=given["REDIS_URL"].replace("redis://", "redis://doctor:pw@"))
    finally:
        redis_client.acl_deluser("doctor")
    assert shown["redis rights"]["found"] == "refused: SET, INFO"


def test_a_mail_server_that_is_away_or_none_is_wrong(given: Given) -> None:
    assert "Connection refused" in wrong(given, MAIL_URL=f"smtp://127.0.0.1:{free_port()}")["mail server"]["found"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        url = f"smtp://me:secret@127.0.0.1:{server.getsockname()[1]}"
        shown = wrong(given, MAIL_URL=url)["mail server"]["found"]  # it accepts, and says nothing
    assert "timed out" in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "postmark://secret",
        "mailgun://secret/mg.example.org",
        "smtp://me:1secret/x@127.0.0.1",
        "smtp://secret#x@127.0.0.1",
        "smtp://secret?x@127.0.0.1",
        "smtp://me:x@secret@127.0.0.1",
        "smtp://me:secret@127.0.0.1:x",
        "secret",
        "https://secret",
        "smtp:///secret",
    ],
)
def test_a_mail_url_that_is_malformed_is_not_shown_and_leads_nowhere(given: Given, url: str) -> None:
    finding = wrong(given, MAIL_URL=url)["mail server"]

    assert finding["found"] == "MAIL_URL isn't the URL of a mail server"
    assert "secret" not in "".join(finding.values())


def test_what_is_late_is_wrong_and_what_failed_is_to_be_looked_at(given: Given, users_pool: Pool) -> None:
    event = write(users_pool, 1, "retrying", "connection refused")
    write(users_pool, 2, "failed", "550 no")
    execute(given["DATABASE_URL"], "UPDATE deliveries SET due_at = now() - interval '5 min' WHERE event_id = %s", event)
    execute(given["DATABASE_URL"], "UPDATE deliveries SET subscription = 'renamed' WHERE state = 'failed'")

    run = herald("doctor", "--json", **given)
    found = json.loads(run.stdout)["findings"]

    [late] = [each for each in found if each["check"] == "audit_log"]
    assert late["verdict"] == "wrong"
    assert late["found"].startswith("the oldest is 5 min")
    assert late["found"].endswith("late: connection refused")
    assert ("renamed", "look", "1 failed") in [(each["check"], each["verdict"], each["found"]) for each in found]
    assert run.returncode == 1


def test_unfinished_deliveries_of_an_unknown_subscription_are_wrong(given: Given, users_pool: Pool) -> None:
    event = write(users_pool, 1, "pending")
    execute(
        given["DATABASE_URL"],
        "UPDATE deliveries SET subscription = 'old' WHERE event_id = %s AND due_at > now()",
        event,
    )

    assert "herald deliveries cancel --all --subscription old" in wrong(given)["old"]["what to do"]
