"""The command line of users-api, as operators run it: processes, exit statuses, what is printed."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from tests.patience import PATIENCE

from devstack.ports import free_port
from messaging import ConfigurationError
from messaging.process.settings import load
from messaging.publishing import operations
from messaging.relay import RelaySettings

from .users_cli import Publish, execute, kill, printed, refused, states, users_api

# Settings


def test_help_lists_the_commands() -> None:
    help_text = printed(users_api("--help"))
    for command in ("serve", "relay", "migrate", "deliveries", "replay"):
        assert command in help_text


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["relay"],
        ["migrate"],
        ["deliveries", "list"],
        ["replay", "--subscription=audit_log", "--since=2026-01-01"],
    ],
)
def test_without_database_url_each_command_says_so_in_one_line(command: list[str]) -> None:
    assert "DATABASE_URL" in refused(users_api(*command))


def test_a_database_url_of_something_else_is_refused_without_repeating_it() -> None:
    line = refused(users_api("deliveries", "list", DATABASE_URL="mysql://root:secret@db/users"))
    assert "DATABASE_URL" in line
    assert "secret" not in line


def test_the_database_url_may_come_from_a_file(users_database: str, tmp_path: Path) -> None:
    secret = tmp_path / "database_url"
    secret.write_text(users_database + "\n")

    assert printed(users_api("deliveries", "list", DATABASE_URL_FILE=str(secret))) == "No failed deliveries.\n"
    assert "DATABASE_URL_FILE" in refused(users_api("migrate", DATABASE_URL_FILE=str(tmp_path / "nowhere")))


def test_without_postgresql_an_operators_command_says_so_in_one_line() -> None:
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/users"
    line = refused(users_api("deliveries", "list", DATABASE_URL=url))
    assert "Connection refused" in line
    assert "Check DATABASE_URL" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("change", "command", "says"),
    [
        (
            "RENAME COLUMN last_error TO error",
            ["deliveries", "list"],
            'column "last_error" does not exist: the tables are missing, or of an older version.',
        ),
        (
            "ADD CHECK (state <> 'pending')",
            ["replay", "--subscription=audit_log", "--since=2026-01-01"],
            '23514: new row for relation "deliveries" violates check constraint',
        ),
    ],
)
def test_what_postgresql_refuses_is_said_in_one_line(
    users_database: str, publish_users: Publish, change: str, command: list[str], says: str
) -> None:
    [event] = publish_users(1)
    kill(users_database, event, "audit_log")
    execute(users_database, "DELETE FROM deliveries WHERE subscription <> 'audit_log'")
    execute(users_database, f"ALTER TABLE deliveries {change}")

    assert says in refused(users_api(*command, DATABASE_URL=users_database))


def test_before_the_migrations_an_operators_command_says_what_to_run(new_database: Callable[[str], str]) -> None:
    line = refused(users_api("deliveries", "list", DATABASE_URL=new_database("notifier")))
    assert "run: users-api migrate" in line


def test_with_tables_of_an_older_version_too(users_database: str) -> None:
    execute(users_database, "ALTER TABLE deliveries DROP COLUMN reference")
    assert "run: users-api migrate" in refused(users_api("deliveries", "list", DATABASE_URL=users_database))


@pytest.mark.parametrize("days", ["0", "-1", "40000", "inf", "nan", "a month"])
def test_a_retention_that_makes_no_sense_is_refused_in_one_line(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"DATABASE_URL": "postgresql://", "REDIS_URL": "redis://", "RETENTION_DAYS": days}
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=r"^RETENTION_DAYS: Input should be .*\. See \.env\.example\.$"):
        load(RelaySettings)


# deliveries list


def test_failed_deliveries_are_listed_for_people(users_database: str, publish_users: Publish) -> None:
    event, _ = publish_users(2)
    kill(users_database, event, "welcome_email", error="550 [bold]no[/bold] such user")

    lines = printed(users_api("deliveries", "list", DATABASE_URL=users_database)).splitlines()

    assert len(lines) == 2, "a heading and one delivery"
    for cell in (str(event.id), "users/1", "welcome_email", " 3 ", "550 [bold]no[/bold] such user"):
        assert cell in lines[1]


def test_deliveries_are_listed_for_programs_one_json_object_a_line(users_database: str, publish_users: Publish) -> None:
    first, second = publish_users(2)
    kill(users_database, first, "welcome_email", "uncertain", "two\nlines")
    kill(users_database, second, "audit_log", "uncertain")
    command = ("deliveries", "list", "--state", "uncertain", "--json")

    listed = [json.loads(line) for line in printed(users_api(*command, DATABASE_URL=users_database)).splitlines()]

    assert {(each["event_id"], each["subject"], each["subscription"]) for each in listed} == {
        (str(first.id), "users/1", "welcome_email"),
        (str(second.id), "users/2", "audit_log"),
    }
    assert {each["last_error"] for each in listed} == {"two\nlines", "550 no"}
    assert all(datetime.fromisoformat(each["finished_at"]) for each in listed)
    limited = printed(users_api(*command, "--limit=1", DATABASE_URL=users_database))
    assert len(limited.splitlines()) == 1


def test_a_state_that_does_not_exist_is_a_usage_error(users_database: str) -> None:
    run = users_api("deliveries", "list", "--state", "lost", DATABASE_URL=users_database)
    assert run.returncode == 2
    assert "uncertain" in run.stderr, "it lists those that do"


@pytest.mark.parametrize("limit", [str(2**63), "9" * 5000, "0", "-1", "1e3", "many"])
def test_a_limit_that_makes_no_sense_is_a_usage_error(users_database: str, limit: str) -> None:
    run = users_api("deliveries", "list", "--limit", limit, DATABASE_URL=users_database)
    assert run.returncode == 2
    assert "--limit" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_largest_limit_works(users_database: str) -> None:
    printed(users_api("deliveries", "list", "--json", f"--limit={2**63 - 1}", DATABASE_URL=users_database))


# deliveries retry


@pytest.mark.parametrize("state", ["failed", "uncertain", "cancelled"])
def test_a_dead_letter_is_retried(users_database: str, publish_users: Publish, state: str) -> None:
    first, second = publish_users(2)
    for event in (first, second):
        kill(users_database, event, "welcome_email", state)

    run = users_api("deliveries", "retry", str(first.id), "welcome_email", DATABASE_URL=users_database)

    assert printed(run) == f"{first.id} welcome_email: was {state}, now pending\n"
    assert states(users_database, "welcome_email") == [("pending", 1, 0, 0), (state, 0, 3, 1)]


def test_what_is_not_dead_is_not_retried(users_database: str, publish_users: Publish) -> None:
    [event] = publish_users(1)

    line = refused(users_api("deliveries", "retry", str(event.id), "audit_log", DATABASE_URL=users_database))

    assert "is pending" in line
    assert states(users_database, "audit_log") == [("pending", 0, 0, 0)]


def test_what_does_not_exist_is_not_retried(users_database: str) -> None:
    unknown = str(uuid4())
    assert unknown in refused(users_api("deliveries", "retry", unknown, "audit_log", DATABASE_URL=users_database))
    assert users_api("deliveries", "retry", "abc", "audit_log", DATABASE_URL=users_database).returncode == 2


def test_a_delivery_to_a_subscription_that_is_gone_stays_as_it_is(users_database: str, publish_users: Publish) -> None:
    [event] = publish_users(1)
    kill(users_database, event, "audit_log")
    execute(users_database, "UPDATE deliveries SET subscription = 'renamed' WHERE subscription = 'audit_log'")

    line = refused(users_api("deliveries", "retry", str(event.id), "renamed", DATABASE_URL=users_database))

    assert line == f"There is no subscription renamed. Known subscriptions: {', '.join(operations.EXISTING)}"
    assert states(users_database, "renamed") == [("failed", 0, 3, 1)]


# deliveries cancel


def test_a_delivery_that_waits_is_cancelled_and_listed_so(users_database: str, publish_users: Publish) -> None:
    event, _ = publish_users(2)

    run = users_api("deliveries", "cancel", str(event.id), "audit_log", DATABASE_URL=users_database)

    assert printed(run) == f"{event.id} audit_log: was pending, now cancelled\n"
    assert states(users_database, "audit_log") == [("cancelled", 0, 0, 0), ("pending", 0, 0, 0)]
    listed = printed(
        users_api("deliveries", "list", "--state", "cancelled", "--json", DATABASE_URL=users_database)
    ).splitlines()
    assert [json.loads(line)["event_id"] for line in listed] == [str(event.id)]


def test_what_has_ended_is_not_cancelled(users_database: str, publish_users: Publish) -> None:
    [event] = publish_users(1)
    kill(users_database, event, "audit_log")

    line = refused(users_api("deliveries", "cancel", str(event.id), "audit_log", DATABASE_URL=users_database))

    assert line == "The delivery is failed. Only one that is pending or retrying can be cancelled."
    assert states(users_database, "audit_log") == [("failed", 0, 3, 1)]


def test_what_does_not_exist_is_not_cancelled(users_database: str) -> None:
    unknown = str(uuid4())
    assert unknown in refused(users_api("deliveries", "cancel", unknown, "audit_log", DATABASE_URL=users_database))


# replay


def test_a_retry_wakes_the_relay(users_database: str, publish_users: Publish) -> None:
    [event] = publish_users(1)
    kill(users_database, event, "audit_log")
    with psycopg.connect(users_database, autocommit=True) as relay:
        relay.execute("LISTEN herald_due")

        printed(users_api("deliveries", "retry", str(event.id), "audit_log", DATABASE_URL=users_database))

        assert [each.channel for each in relay.notifies(timeout=PATIENCE, stop_after=1)] == ["herald_due"]


def test_deliveries_are_listed_newest_first(users_database: str, publish_users: Publish) -> None:
    events = publish_users(3)
    for hours, event in enumerate(events):
        execute(
            users_database,
            "UPDATE deliveries SET created_at = now() - make_interval(hours => %s) WHERE event_id = %s",
            *((hours + 1) % 3, event.id),
        )
        kill(users_database, event, "audit_log")

    listed = printed(users_api("deliveries", "list", "--json", DATABASE_URL=users_database)).splitlines()

    assert [json.loads(line)["subject"] for line in listed] == ["users/3", "users/1", "users/2"]
