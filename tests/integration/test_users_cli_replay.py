"""`users-api replay`, as operators run it."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tests.patience import PATIENCE

from .users_cli import Publish, execute, kill, printed, refused, states, users_api


@pytest.mark.parametrize("form", ["{0}", "{0:%Y-%m-%dT%H:%M:%SZ}", "{0:%Y-%m-%dT%H:%M:%S}+00:00", "{0:%Y-%m-%d}"])
def test_replay_takes_the_times_that_herald_prints(users_database: str, publish_users: Publish, form: str) -> None:
    publish_users(1)
    execute(users_database, "DELETE FROM deliveries")
    since = form.format(datetime.now(UTC) - timedelta(seconds=5))

    replayed = users_api("replay", "--subscription=audit_log", "--since", since, DATABASE_URL=users_database)

    assert printed(replayed) == "1 delivery is pending for audit_log\n"


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

    assert printed(users_api(*command, DATABASE_URL=users_database)) == "2 deliveries are pending for audit_log\n"
    assert states(users_database, "audit_log") == [
        ("pending", 0, 0, 0),
        ("pending", 1, 0, 0),
        ("succeeded", 0, 3, 1),
        ("uncertain", 0, 3, 1),
        ("pending", 0, 0, 0),
    ]
    assert ("failed", 0, 3, 1) in states(users_database, "welcome_email"), "another subscription is untouched"
    assert printed(users_api(*command, DATABASE_URL=users_database)) == "0 deliveries are pending for audit_log\n"


def test_replay_of_what_succeeded_is_for_those_who_say_so(users_database: str, publish_users: Publish) -> None:
    succeeded, uncertain = publish_users(2)
    kill(users_database, succeeded, "audit_log", "succeeded")
    kill(users_database, uncertain, "audit_log", "uncertain")
    command = ("replay", "--subscription", "audit_log", "--since", "2026-01-01", "--succeeded")

    assert printed(users_api(*command, DATABASE_URL=users_database)) == "1 delivery is pending for audit_log\n"
    assert states(users_database, "audit_log") == [("pending", 1, 0, 0), ("uncertain", 0, 3, 1)]


def test_replay_of_what_succeeded_goes_by_when_it_ended(users_database: str, publish_users: Publish) -> None:
    """A backup has what had ended by then, however old its event."""
    before, after = publish_users(2)
    execute(users_database, "UPDATE events SET recorded_at = '2026-01-01T12:00Z'")
    for event, ended in ((before, "2026-01-02T11:00Z"), (after, "2026-01-02T13:00Z")):
        kill(users_database, event, "audit_log", "succeeded")
        execute(users_database, "UPDATE deliveries SET finished_at = %s WHERE event_id = %s", ended, event.id)
    command = ("replay", "--subscription", "audit_log", "--since", "2026-01-02T12:00:00", "--succeeded")

    assert printed(users_api(*command, DATABASE_URL=users_database)) == "1 delivery is pending for audit_log\n"
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

        assert [each.channel for each in relay.notifies(timeout=PATIENCE, stop_after=1)] == ["herald_due"]
    assert execute(users_database, "SELECT due_at FROM deliveries") == [{"due_at": tomorrow}]


def test_replay_for_a_subscription_that_does_not_exist_names_those_that_do(users_database: str) -> None:
    line = refused(users_api("replay", "--subscription=mail", "--since=2026-01-01", DATABASE_URL=users_database))
    assert "mail" in line
    assert "welcome_email, follow_up_email, audit_log" in line
    assert users_api("replay", "--subscription=audit_log", "--since=soon").returncode == 2


def test_replay_is_for_events_of_the_subscriptions_own_type(users_database: str, publish_users: Publish) -> None:
    publish_users(2)
    execute(users_database, "DELETE FROM deliveries")
    execute(users_database, "UPDATE events SET type = 'user_renamed' WHERE subject = 'users/2'")

    replayed = users_api("replay", "--subscription=audit_log", "--since=2026-01-01", DATABASE_URL=users_database)

    assert printed(replayed) == "1 delivery is pending for audit_log\n"


def test_replay_for_an_effect_that_is_off_names_its_setting(users_database: str, publish_users: Publish) -> None:
    publish_users(1)
    command = ("replay", "--subscription", "follow_up_email", "--since", "2026-01-01")

    assert "follow_up_email is off: set FOLLOW_UP_AFTER" in refused(users_api(*command, DATABASE_URL=users_database))
    wrong = users_api(*command, DATABASE_URL=users_database, FOLLOW_UP_AFTER="soon")
    assert "such as 3d" in refused(wrong)

    replayed = users_api(*command, DATABASE_URL=users_database, FOLLOW_UP_AFTER="3d")
    assert printed(replayed) == "1 delivery is pending for follow_up_email\n"
