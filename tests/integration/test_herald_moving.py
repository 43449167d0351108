"""`herald deliveries retry`, `cancel`, `replay`, and `herald operations`: what operators do, to one or to many."""

import json
import signal
import subprocess
from datetime import timedelta
from uuid import UUID

import pytest
from tests.patience import PATIENCE, until

from messaging.process.database import Pool

from .herald_cli import PROGRAM, Terminal, environment, herald, rows
from .searched import states_of
from .searched import write_recent as write
from .users_cli import execute, printed, refused, users_api

ALL_FAILED = ["deliveries", "retry", "--all", "--subscription=audit_log", "--error", "no such"]


def fail(pool: Pool, number: int) -> list[UUID]:
    return [
        write(pool, user, "failed", "550 no such user", ended=timedelta(minutes=1)) for user in range(1, number + 1)
    ]


def operations(url: str) -> list[dict[str, object]]:
    return execute(url, "SELECT id, action, state, moved, eligible FROM operations ORDER BY id")


def test_one_delivery_is_retried_and_cancelled_as_by_users_api(users_database: str, users_pool: Pool) -> None:
    [event] = fail(users_pool, 1)

    run = herald("deliveries", "retry", str(event), "audit_log", DATABASE_URL=users_database)
    assert printed(run) == f"{event} audit_log: was failed, now pending\n"
    run = herald("deliveries", "cancel", str(event), "audit_log", DATABASE_URL=users_database)
    assert printed(run) == f"{event} audit_log: was pending, now cancelled\n"


def test_a_dry_run_counts_and_does_nothing(users_database: str, users_pool: Pool) -> None:
    ids = fail(users_pool, 3)
    write(users_pool, 9, "failed", "timed out")

    said = printed(herald(*ALL_FAILED, "--dry-run", DATABASE_URL=users_database))

    assert said.startswith("3 deliveries can be retried: ")
    assert "--subscription audit_log --state failed --error 'no such'" in said
    answer = json.loads(printed(herald(*ALL_FAILED, "--dry-run", "--json", DATABASE_URL=users_database)))
    assert (answer["eligible"], answer["operation"]) == ({"count": 3, "exact": True}, None)
    assert operations(users_database) == []
    assert states_of(users_pool, ids) == [("failed", 0)] * 3


def test_a_script_has_to_say_yes(users_database: str, users_pool: Pool) -> None:
    fail(users_pool, 1)

    run = herald(*ALL_FAILED, DATABASE_URL=users_database)

    assert run.returncode == 1
    assert "add --yes" in run.stderr
    assert operations(users_database) == []


@pytest.mark.parametrize(("answer", "done"), [("y\n", True), ("n\n", False), ("\n", False)])
@pytest.mark.usefixtures("running_relay")
def test_a_person_is_asked(users_database: str, users_pool: Pool, answer: str, done: bool) -> None:
    fail(users_pool, 2)
    terminal = Terminal(*ALL_FAILED, DATABASE_URL=users_database)

    terminal.until_shown("Retry them? [y/N]")
    terminal.type(answer)
    status, shown = terminal.finish()

    assert status == (0 if done else 1), shown
    assert ("2 of 2 moved" in shown) == ("2/2" in shown) == done  # the progress bar counts too
    assert [each["moved"] for each in operations(users_database)] == ([2] if done else [])


@pytest.mark.usefixtures("running_relay")
def test_all_that_failed_are_retried_and_counted(users_database: str, users_pool: Pool) -> None:
    ids = fail(users_pool, 1201)
    other = write(users_pool, 5000, "failed", "timed out", ended=timedelta(minutes=1))

    run = herald(*ALL_FAILED, "--yes", DATABASE_URL=users_database)

    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("1,201 deliveries can be retried: ")
    assert "operation 1 is done: 1,201 of 1,201 moved" in run.stderr
    assert {generation for _, generation in states_of(users_pool, ids)} == {1}
    assert states_of(users_pool, [other]) == [("failed", 0)]
    [listed] = rows(printed(herald("operations", "list", DATABASE_URL=users_database)))
    assert (listed["state"], listed["action"], listed["moved"]) == ("done", "retry", "1,201 of 1,201")


def test_ctrl_c_leaves_the_operation_running_and_it_can_be_followed_or_cancelled(
    users_database: str, users_pool: Pool
) -> None:
    fail(users_pool, 2)
    command = [PROGRAM, *ALL_FAILED, "--yes"]
    following = subprocess.Popen(
        command,
        env=environment(DATABASE_URL=users_database),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_as_in_a_terminal,  # noqa: PLW1509  # no thread of ours holds a lock that it needs
    )
    assert following.stdout
    assert "can be retried" in following.stdout.readline()
    assert "operation 1: retry requested" in following.stdout.readline()
    until(lambda: operations(users_database) != [])

    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=PATIENCE)

    assert following.returncode == 130, said
    assert "Operation 1 goes on. Follow it: herald operations show 1 --follow" in said
    assert operations(users_database)[0]["state"] == "running"
    [shown] = rows(printed(herald("operations", "show", "1", DATABASE_URL=users_database)))
    assert (shown["state"], shown["moved"]) == ("running", "0 of 2")
    cancelled = printed(herald("operations", "cancel", "1", DATABASE_URL=users_database))
    assert cancelled == "operation 1 is cancelled: 0 moved\n"
    assert "Only one that is running" in refused(herald("operations", "cancel", "1", DATABASE_URL=users_database))
    assert "There is no operation 2" in refused(herald("operations", "show", "2", DATABASE_URL=users_database))


def _as_in_a_terminal() -> None:
    """Let SIGINT have its effect: a shell in the background would have it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def waiting_for_a_relay(database_url: str, *arguments: str) -> subprocess.Popen[str]:
    """Start `herald`, and read until it says that it waits for a relay."""
    started = subprocess.Popen(
        [PROGRAM, *arguments],
        env=environment(DATABASE_URL=database_url),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stderr
    assert "does a relay run?" in started.stderr.readline()
    return started


def test_without_a_relay_it_says_so_and_waits(users_database: str, users_pool: Pool) -> None:
    fail(users_pool, 1)
    following = waiting_for_a_relay(users_database, *ALL_FAILED, "--yes")

    execute(users_database, "UPDATE operations SET state = 'failed', detail = 'no', finished_at = now()")
    _, said = following.communicate(timeout=PATIENCE)

    assert said == "operation 1 is failed: 0 of 1 moved: no\n"
    assert following.returncode == 1


@pytest.mark.parametrize(("state", "status"), [("done", 0), ("failed", 1), ("cancelled", 1)])
def test_to_follow_an_operation_ends_as_the_operation_does(users_database: str, state: str, status: int) -> None:
    execute(users_database, "INSERT INTO operations (action, filter, eligible, exact) VALUES ('retry', '{}', 1, true)")
    following = waiting_for_a_relay(users_database, "operations", "show", "1", "--follow", "--json")

    execute(users_database, "UPDATE operations SET state = %s, finished_at = now()", state)
    printed_then, _ = following.communicate(timeout=PATIENCE)

    assert (json.loads(printed_then)["state"], following.returncode) == (state, status)
    already_over = herald("operations", "show", "1", "--follow", DATABASE_URL=users_database)
    assert already_over.returncode == status
    assert herald("operations", "show", "1", DATABASE_URL=users_database).returncode == 0


def test_cancelling_an_operation_as_json_prints_it(users_database: str) -> None:
    execute(users_database, "INSERT INTO operations (action, filter, eligible, exact) VALUES ('retry', '{}', 1, true)")

    answer = json.loads(printed(herald("operations", "cancel", "1", "--json", DATABASE_URL=users_database)))

    shown = json.loads(printed(herald("operations", "show", "1", "--json", DATABASE_URL=users_database)))
    assert answer == shown
    assert (answer["state"], answer["moved"]) == ("cancelled", 0)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [("retry", "failed", "pending"), ("cancel", "pending", "cancelled"), ("confirm", "uncertain", "succeeded")],
)
def test_moving_one_delivery_as_json_has_the_shape_of_the_api(
    users_database: str, users_pool: Pool, action: str, before: str, after: str
) -> None:
    event = str(write(users_pool, 1, before, ended=timedelta(minutes=1)))

    run = herald("deliveries", action, event, "audit_log", "--json", DATABASE_URL=users_database)

    assert json.loads(printed(run)) == {"event_id": event, "subscription": "audit_log", "state": after}
    again = herald("deliveries", action, event, "audit_log", "--json", DATABASE_URL=users_database)
    assert again.returncode == 1
    assert again.stdout == ""


@pytest.mark.usefixtures("running_relay")
def test_what_waits_is_cancelled_and_events_are_replayed(users_database: str, users_pool: Pool) -> None:
    waits = write(users_pool, 1, "pending", ended=timedelta(minutes=1))
    failed = write(users_pool, 2, "failed", "550 no", ended=timedelta(minutes=1))

    options = ["--user=1", "--subscription=audit_log", "--yes", "--json"]
    cancel = herald("deliveries", "cancel", "--all", *options, DATABASE_URL=users_database)
    replay = ["deliveries", "replay", "--subscription=audit_log", "--since=1h", "--yes"]

    assert cancel.returncode == 0, cancel.stderr
    answer = json.loads(cancel.stdout)
    assert (answer["action"], answer["state"], answer["moved"]) == ("cancel", "done", 1)
    assert states_of(users_pool, [waits]) == [("cancelled", 0)]
    said = herald(*replay, DATABASE_URL=users_database)
    assert said.stdout.startswith("1 event can be replayed"), said
    assert states_of(users_pool, [failed])[0][1] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["retry"], "say --all"),
        (["retry", "01a22b52-e1b6-752e-b8c5-164ac7af640b"], "an EVENT and a SUBSCRIPTION"),
        (["retry", "01a22b52-e1b6-752e-b8c5-164ac7af640b", "audit_log", "--all"], "say --all"),
        (["cancel", "--user=1"], "say --all"),
        (["retry", "--all", "--state=succeeded"], "Only deliveries that are failed, uncertain or cancelled"),
        (["retry", "--all", "--subscription=renamed"], "There is no subscription renamed"),
        (["cancel", "--all", "--finished-since=10m"], "What has ended can't be cancelled"),
        (["replay", "--subscription=audit_log"], "A replay needs one subscription, and since when"),
    ],
)
def test_what_can_not_be_meant_is_refused(users_database: str, arguments: list[str], says: str) -> None:
    run = herald("deliveries", *arguments, DATABASE_URL=users_database)

    assert run.returncode in {1, 2}
    assert says in " ".join(run.stderr.replace("│", " ").split())


def test_what_one_command_line_did_the_other_lists(users_database: str, users_pool: Pool) -> None:
    [event] = fail(users_pool, 1)
    printed(users_api("deliveries", "retry", str(event), "audit_log", DATABASE_URL=users_database))

    [listed] = rows(printed(herald("operations", "list", DATABASE_URL=users_database)))

    assert listed["what"] == f"--event {event} --subscription audit_log"
