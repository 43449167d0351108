"""The command line of users-api, as operators run it: processes, exit statuses, what is printed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from contracts import Event, EventData
from devstack.ports import free_port
from messaging import ConfigurationError
from messaging.process.settings import load
from users_api.settings import RelaySettings

Publish = Callable[..., list[Event[EventData]]]


def users_api(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("users-api")), *arguments]
    given = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)


def printed(run: subprocess.CompletedProcess[str]) -> str:
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that says what is wrong."""
    assert run.returncode in {1, 2}
    assert run.stdout == ""
    [line] = run.stderr.splitlines()
    return line


def execute(url: str, statement: str, *values: object) -> list[dict[str, object]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def kill(url: str, event: Event[EventData], subscription: str, state: str = "failed", error: str = "550 no") -> None:
    execute(
        url,
        "UPDATE deliveries SET state = %s, last_error = %s, attempts = 3, crashes = 1, due_at = NULL,"
        " finished_at = now() WHERE event_id = %s AND subscription = %s",
        *(state, error, event.id, subscription),
    )


def states(url: str, subscription: str) -> list[tuple[str, int, int, int]]:
    """Return state, generation, attempts and crashes of a subscription's deliveries, in order of the users."""
    query = (
        "SELECT state, generation, attempts, crashes FROM deliveries JOIN events ON event_id = events.id"
        " WHERE subscription = %s ORDER BY subject"
    )
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode(), (subscription,)).fetchall()


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
        ("RENAME COLUMN last_error TO error", ["deliveries", "list"], '42703: column "last_error" does not exist'),
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
    line = refused(users_api("deliveries", "list", DATABASE_URL=new_database("auditor")))
    assert "run: users-api migrate" in line


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

    assert line == "There is no subscription renamed. Known subscriptions: welcome_email, audit_log"
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


@pytest.mark.parametrize("form", ["{0}", "{0:%Y-%m-%dT%H:%M:%SZ}", "{0:%Y-%m-%dT%H:%M:%S}+00:00", "{0:%Y-%m-%d}"])
def test_replay_takes_the_times_that_herald_prints(users_database: str, publish_users: Publish, form: str) -> None:
    publish_users(1)
    execute(users_database, "DELETE FROM deliveries")
    since = form.format(datetime.now(UTC) - timedelta(seconds=5))

    replayed = users_api("replay", "--subscription=audit_log", "--since", since, DATABASE_URL=users_database)

    assert printed(replayed) == "1 delivery queued for audit_log\n"


def test_replay_of_the_future_says_that_nothing_can_match(users_database: str) -> None:
    run = users_api("replay", "--subscription=audit_log", "--since=2999-01-01", DATABASE_URL=users_database)
    assert run.returncode == 2
    assert "is in the future" in run.stderr


def test_replay_makes_what_is_missing_revives_what_failed_and_leaves_the_rest(
    users_database: str, publish_users: Publish
) -> None:
    missing, failed, succeeded, uncertain, _, old = publish_users(6)
    execute(users_database, "DELETE FROM deliveries WHERE event_id = ANY (%s)", [missing.id, old.id])
    kill(users_database, failed, "audit_log")
    kill(users_database, failed, "welcome_email")
    kill(users_database, succeeded, "audit_log", "succeeded")
    kill(users_database, uncertain, "audit_log", "uncertain")
    execute(users_database, "UPDATE events SET recorded_at = '2026-01-01T12:00Z' WHERE id = %s", old.id)
    command = ("replay", "--subscription", "audit_log", "--since", "2026-01-01T12:00:01")

    assert printed(users_api(*command, DATABASE_URL=users_database)) == "2 deliveries queued for audit_log\n"
    assert states(users_database, "audit_log") == [
        ("pending", 0, 0, 0),
        ("pending", 1, 0, 0),
        ("succeeded", 0, 3, 1),
        ("uncertain", 0, 3, 1),
        ("pending", 0, 0, 0),
    ]
    assert ("failed", 0, 3, 1) in states(users_database, "welcome_email"), "another subscription is untouched"
    assert printed(users_api(*command, DATABASE_URL=users_database)) == "0 deliveries queued for audit_log\n"


def test_replay_of_what_succeeded_is_for_those_who_say_so(users_database: str, publish_users: Publish) -> None:
    succeeded, uncertain = publish_users(2)
    kill(users_database, succeeded, "audit_log", "succeeded")
    kill(users_database, uncertain, "audit_log", "uncertain")
    command = ("replay", "--subscription", "audit_log", "--since", "2026-01-01", "--succeeded")

    assert printed(users_api(*command, DATABASE_URL=users_database)) == "1 delivery queued for audit_log\n"
    assert states(users_database, "audit_log") == [("pending", 1, 0, 0), ("uncertain", 0, 3, 1)]


def test_replay_of_what_succeeded_goes_by_when_it_ended(users_database: str, publish_users: Publish) -> None:
    """A backup has what had ended by then, however old its event."""
    before, after = publish_users(2)
    execute(users_database, "UPDATE events SET recorded_at = '2026-01-01T12:00Z'")
    for event, ended in ((before, "2026-01-02T11:00Z"), (after, "2026-01-02T13:00Z")):
        kill(users_database, event, "audit_log", "succeeded")
        execute(users_database, "UPDATE deliveries SET finished_at = %s WHERE event_id = %s", ended, event.id)
    command = ("replay", "--subscription", "audit_log", "--since", "2026-01-02T12:00:00", "--succeeded")

    assert printed(users_api(*command, DATABASE_URL=users_database)) == "1 delivery queued for audit_log\n"
    assert [row[0] for row in states(users_database, "audit_log")] == ["succeeded", "pending"]


def test_what_succeeded_is_not_replayed_where_it_might_be_done_twice(users_database: str) -> None:
    command = ("replay", "--subscription", "welcome_email", "--since", "2026-01-01", "--succeeded")

    assert "might happen twice" in refused(users_api(*command, DATABASE_URL=users_database))


def test_replay_wakes_the_relay_and_does_not_hurry_what_is_scheduled(
    users_database: str, publish_users: Publish
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    publish_users(1, available_at=tomorrow)
    execute(users_database, "DELETE FROM deliveries")
    with psycopg.connect(users_database, autocommit=True) as relay:
        relay.execute("LISTEN herald_due")

        printed(users_api("replay", "--subscription=audit_log", "--since=2026-01-01", DATABASE_URL=users_database))

        assert [each.channel for each in relay.notifies(timeout=5, stop_after=1)] == ["herald_due"]
    assert execute(users_database, "SELECT due_at FROM deliveries") == [{"due_at": tomorrow}]


def test_replay_for_a_subscription_that_does_not_exist_names_those_that_do(users_database: str) -> None:
    line = refused(users_api("replay", "--subscription=mail", "--since=2026-01-01", DATABASE_URL=users_database))
    assert "mail" in line
    assert "welcome_email, audit_log" in line
    assert users_api("replay", "--subscription=audit_log", "--since=soon").returncode == 2


def test_replay_is_for_events_of_the_subscriptions_own_type(users_database: str, publish_users: Publish) -> None:
    publish_users(2)
    execute(users_database, "DELETE FROM deliveries")
    execute(users_database, "UPDATE events SET type = 'user_renamed' WHERE subject = 'users/2'")

    replayed = users_api("replay", "--subscription=audit_log", "--since=2026-01-01", DATABASE_URL=users_database)

    assert printed(replayed) == "1 delivery queued for audit_log\n"


def test_a_retry_wakes_the_relay(users_database: str, publish_users: Publish) -> None:
    [event] = publish_users(1)
    kill(users_database, event, "audit_log")
    with psycopg.connect(users_database, autocommit=True) as relay:
        relay.execute("LISTEN herald_due")

        printed(users_api("deliveries", "retry", str(event.id), "audit_log", DATABASE_URL=users_database))

        assert [each.channel for each in relay.notifies(timeout=5, stop_after=1)] == ["herald_due"]


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
