"""`herald deliveries list` and `groups`, `herald user` and `herald events show`: what operators look at."""

import json
import re
import shlex
import subprocess
from datetime import timedelta
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from messaging.process.database import Pool
from messaging.publishing import looking
from users_api.herald import deliveries

from .herald_cli import Terminal, herald, rows
from .searched import write_recent as write
from .users_cli import execute, printed

REFUSED = "550 5.1.1 ada@example.com: no such user"


def register(url: str, user: int, email: str) -> None:
    execute(
        url,
        "INSERT INTO users (id, email, email_key, full_name) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, 'Maya Chen')",
        *(user, email, email),
    )


def test_deliveries_are_listed_newest_first_as_lines_of_cells(users_database: str, users_pool: Pool) -> None:
    old = write(users_pool, 1, "failed", REFUSED, ago=timedelta(hours=1))
    new = write(users_pool, 2, "succeeded")

    run = herald("deliveries", "list", "--subscription", "audit_log", DATABASE_URL=users_database)

    listed = rows(printed(run))
    assert [(each["event"], each["user"], each["state"]) for each in listed] == [
        (str(new), "2", "succeeded"),
        (str(old), "1", "failed"),
    ]
    assert listed[1]["error or reference"] == REFUSED


@pytest.mark.parametrize(
    ("options", "users"),
    [
        (["--email", "MAYA@example.com"], ["1"]),
        (["--user", "2"], ["2"]),
        (["--state", "failed", "--state", "uncertain"], ["2", "1"]),
        (["--error", "NO SUCH"], ["1"]),
        (["--group", "550 5.1.1 <address>: no such user"], ["1"]),
        (["--since", "10m"], ["3", "2"]),
        (["--until", "10m"], ["1", "4"]),
        (["--since", "10m", "--state", "uncertain"], ["2"]),
        (["--finished-since", "10m"], ["3", "2"]),
        (["--finished-since", "1h", "--error", "no such"], ["1"]),
        (["--finished-until", "10m"], ["1"]),
        (["--limit", "2"], ["3", "2"]),
    ],
)
def test_each_option_narrows_the_list(
    users_database: str, users_pool: Pool, options: list[str], users: list[str]
) -> None:
    register(users_database, 1, "maya@example.com")
    long_ago = {"ago": timedelta(hours=1), "ended": timedelta(minutes=50)}
    write(users_pool, 1, "failed", "550 5.1.1 maya@example.com: no such user", **long_ago)
    write(users_pool, 2, "uncertain", "timed out")
    write(users_pool, 3, "succeeded")
    write(users_pool, 4, "running", ago=timedelta(hours=2))

    run = herald("deliveries", "list", "--subscription=audit_log", *options, DATABASE_URL=users_database)

    assert [each["user"] for each in rows(printed(run))] == users


def test_one_event_is_listed_and_several_subscriptions(users_database: str, users_pool: Pool) -> None:
    event = write(users_pool, 1, "failed", REFUSED)
    write(users_pool, 2, "failed", REFUSED)
    command = ["deliveries", "list", "--event", str(event)]

    run = herald(*command, "--subscription=audit_log", "--subscription=welcome_email", DATABASE_URL=users_database)

    listed = [(each["event"], each["subscription"]) for each in rows(printed(run))]
    assert listed == [(str(event), "welcome_email"), (str(event), "audit_log")]


def test_json_has_the_total(users_database: str, users_pool: Pool) -> None:
    for user in (1, 2, 3):
        write(users_pool, user, "failed", REFUSED)
    command = ["deliveries", "list", "--state=failed", "--limit=2", "--json"]

    answer = json.loads(printed(herald(*command, DATABASE_URL=users_database)))

    assert [each["subject"] for each in answer["deliveries"]] == ["users/3", "users/2"]
    assert (answer["total"], answer["searched_to"]) == ({"count": 3, "exact": True}, None)


def test_a_long_search_stops_and_says_how_to_go_on(
    users_database: str, users_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_LOOKS", 3)
    monkeypatch.setenv("DATABASE_URL", users_database)
    old = write(users_pool, 1, "succeeded", ago=timedelta(hours=2))
    for user in (2, 3, 4):
        write(users_pool, user, "pending", ago=timedelta(hours=1))
    command = ["list", "--state=succeeded"]

    with monkeypatch.context() as small:
        small.setattr(looking, "WINDOW", 1)
        stopped = CliRunner().invoke(deliveries.app, command)
        as_json = json.loads(CliRunner().invoke(deliveries.app, [*command, "--json"]).stdout)
    nothing, advice = stopped.stderr.splitlines()
    continued = CliRunner().invoke(deliveries.app, [*command, *shlex.split(advice.partition("go on with ")[2][:-1])])

    assert (stopped.exit_code, stopped.stdout, nothing) == (0, "", "No deliveries match.")
    assert advice.startswith("This is about events made since 20")
    assert (as_json["deliveries"], as_json["total"]["exact"]) == ([], False)
    assert as_json["searched_to"] is not None
    assert (str(old) in continued.stdout, continued.stderr) == (True, "")


def test_a_terminal_shows_a_table_with_its_total_and_no_escape_of_an_error(
    users_database: str, users_pool: Pool
) -> None:
    for user in (1, 2, 3):
        event = write(users_pool, user, "failed", "550 \x1b[31mred\nor not")
    command = ["deliveries", "list", "--state=failed", "--limit=2"]

    status, shown = Terminal(*command, DATABASE_URL=users_database).finish()

    assert status == 0
    assert "2 of 3 deliveries" in shown
    assert str(event) in shown
    assert "550  [31mred or not" in shown
    assert "\t" not in shown


def test_what_is_not_there_is_said(users_database: str) -> None:
    nothing = herald("deliveries", "list", DATABASE_URL=users_database)
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "No deliveries match.\n")

    stranger = herald("deliveries", "list", "--email=maya@example.com", DATABASE_URL=users_database)
    assert stranger.returncode == 1
    assert "no user with the address maya@example.com" in stranger.stderr
    wrong = herald("deliveries", "list", "--state=lost", DATABASE_URL=users_database)
    assert wrong.returncode == 2
    assert "uncertain" in wrong.stderr


def test_errors_are_grouped(users_database: str, users_pool: Pool) -> None:
    for user in range(1, 4):
        write(users_pool, user, "failed", f"550 5.1.1 u{user}@example.com: no such user")
    write(users_pool, 4, "retrying", "connection refused")

    found = rows(printed(herald("deliveries", "groups", DATABASE_URL=users_database)))

    assert [(each["count"], each["group"], each["states"]) for each in found] == [
        ("3", "550 5.1.1 <address>: no such user", "3 failed"),
        ("1", "connection refused", "1 retrying"),
    ]
    as_json = json.loads(printed(herald("deliveries", "groups", "--json", DATABASE_URL=users_database)))
    assert [each["count"] for each in as_json["groups"]] == [3, 1]
    assert herald("deliveries", "groups", "--user=9", DATABASE_URL=users_database).stderr == NOTHING


NOTHING = "No delivery that matches is failed, uncertain or retrying now.\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("groups --finished-since 10m", f"{NOTHING[:-1]} What is retrying has not ended: to find it, leave out %s."),
        ("groups --state failed --finished-since 10m", NOTHING[:-1]),
        ("list --state retrying --finished-since 10m",
         "No deliveries match. What is retrying has not ended: to find it, leave out %s."),
        ("list --state pending --state retrying --finished-since 2h --finished-until 1h",
         "No deliveries match. What is pending or retrying has not ended: to find it, leave out %s."),
        ("list --state succeeded --finished-since 10m", "No deliveries match."),
    ],
    ids=["groups", "groups of a final state", "list", "list by both times", "list of a final state"],
)  # fmt: skip
def test_what_has_not_ended_is_not_denied(users_database: str, users_pool: Pool, command: str, said: str) -> None:
    write(users_pool, 1, "retrying", "connection refused")
    options = "--finished-since and --finished-until" if "--finished-until" in command else "--finished-since"

    run = herald("deliveries", *command.split(), DATABASE_URL=users_database)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", said.replace("%s", options) + "\n")


def test_groups_in_a_terminal_name_the_next_command(users_database: str, users_pool: Pool) -> None:
    for user in (1, 2):
        write(users_pool, user, "failed", "550 it's $(full)", subscription="welcome_email")
    write(users_pool, 3, "failed", "out of paper")
    command = ["deliveries", "groups", "--finished-since", "10m", "--subscription=welcome_email"]

    _, shown = Terminal(*command, DATABASE_URL=users_database).finish()

    [see] = re.findall("See the first: herald (.*)", shown)
    [retry] = re.findall("Retry what failed: herald (.*)", shown)
    as_a_shell_reads_it = subprocess.check_output(["sh", "-c", f"printf '%s\\n' {see}"], text=True).splitlines()
    assert len(rows(printed(herald(*as_a_shell_reads_it, DATABASE_URL=users_database)))) == 2
    counted = printed(herald(*shlex.split(retry), "--dry-run", DATABASE_URL=users_database))
    assert counted.startswith("2 deliveries can be retried")


@pytest.mark.parametrize(
    "command", ["deliveries groups", "deliveries list --state failed", "deliveries retry --all --dry-run"]
)
def test_since_is_not_taken_for_when_it_failed(users_database: str, users_pool: Pool, command: str) -> None:
    write(users_pool, 1, "failed", REFUSED)

    def shown(option: str) -> bool:
        said = Terminal(*command.split(), option, "10m", DATABASE_URL=users_database).finish()[1]
        return "when it failed: --finished-since" in said

    assert shown("--since")
    assert not shown("--finished-since")
    assert "when it failed" not in printed(herald(*command.split(), "--since=10m", DATABASE_URL=users_database))


@pytest.mark.parametrize("command", ["list", "groups"])
def test_a_subscription_that_does_not_exist_is_named(users_database: str, command: str) -> None:
    said = herald("deliveries", command, "--subscription=email", DATABASE_URL=users_database).stderr
    assert "There is no subscription email. Subscriptions: welcome_email, " in said


def test_a_narrow_terminal_says_which_number_is_a_user(users_database: str, users_pool: Pool) -> None:
    write(users_pool, 17, "failed", REFUSED)
    _, shown = Terminal("deliveries", "list", DATABASE_URL=users_database, COLUMNS="80").finish()
    assert "  user 17  audit_log  failed" in shown


def test_a_user_is_shown_on_a_time_line(users_database: str, users_pool: Pool) -> None:
    register(users_database, 1, "maya@example.com")
    event = write(users_pool, 1, "failed", REFUSED)
    command = ["user", "maya@example.com"]

    found = rows(printed(herald(*command, DATABASE_URL=users_database)))

    assert found[0]["happened"] == "registered"
    [failed] = [each for each in found if each["happened"] == "failed"]
    assert (failed["what"], failed["details"]) == ("audit_log", REFUSED)
    assert [each["time"] for each in found[1:]] == sorted(each["time"] for each in found[1:])
    assert json.loads(printed(herald("user", "1", "--json", DATABASE_URL=users_database)))["user"]["email"] == (
        "maya@example.com"
    )
    _, shown = Terminal(*command, DATABASE_URL=users_database).finish()
    assert f"Send again: herald deliveries retry {event} audit_log" in " ".join(shown.split())
    assert herald("user", "2", DATABASE_URL=users_database).returncode == 1


@pytest.mark.parametrize("state", ["queued", "running"])
def test_why_a_delivery_is_tried_again_is_on_the_time_line(users_database: str, users_pool: Pool, state: str) -> None:
    register(users_database, 1, "maya@example.com")
    write(users_pool, 1, state, "connection refused")
    execute(users_database, "UPDATE deliveries SET queued_at = now() WHERE subscription = 'audit_log'")

    found = rows(printed(herald("user", "1", DATABASE_URL=users_database)))

    [queued] = [each for each in found if each["what"] == "audit_log" and each["happened"] == "queued"]
    assert queued["details"] == "again, after: connection refused"


def test_an_event_of_a_user_is_whole_in_a_narrow_terminal(users_database: str, users_pool: Pool) -> None:
    register(users_database, 1, "maya@example.com")
    event = write(users_pool, 1, "failed", REFUSED)

    _, shown = Terminal("user", "1", DATABASE_URL=users_database, COLUMNS="80").finish()

    assert f"See user_registered and its deliveries: herald events show {event}" in shown


def test_an_event_is_shown_with_its_envelope_and_deliveries(users_database: str, users_pool: Pool) -> None:
    event = write(users_pool, 1, "failed", REFUSED)

    shown = printed(herald("events", "show", str(event), DATABASE_URL=users_database))

    assert f'"id": "{event}"' in shown
    assert REFUSED in shown
    answer = json.loads(printed(herald("events", "show", str(event), "--json", DATABASE_URL=users_database)))
    assert answer["envelope"]["type"] == "user_registered"
    assert {each["subscription"] for each in answer["deliveries"]} >= {"audit_log", "welcome_email"}
    unknown = herald("events", "show", str(uuid4()), DATABASE_URL=users_database)
    assert unknown.returncode == 1
    assert "There is no event" in unknown.stderr
