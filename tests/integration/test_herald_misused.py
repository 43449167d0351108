"""`herald` in the hands of people and scripts that err: it does no more than was said, cuts no number, and ends."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from messaging.process.database import Pool
from users_api.schemas import Delivery

from .herald_cli import PROGRAM, Terminal, environment, herald
from .searched import states_of
from .searched import write_recent as write
from .users_cli import execute, printed

NOT_UTF8 = "\udcff"


@pytest.mark.parametrize("option", ["--dry-run", "--state=succeeded", "--error=no such", "--since=1d"])
def test_options_on_many_are_refused_with_one_delivery(users_database: str, users_pool: Pool, option: str) -> None:
    event = write(users_pool, 1, "failed", "550 no such user")

    for move in ("retry", "confirm", "cancel"):
        run = herald("deliveries", move, str(event), "audit_log", option, DATABASE_URL=users_database)

        assert run.returncode == 2
        assert option.partition("=")[0] in run.stderr
    assert states_of(users_pool, [event]) == [("failed", 0)]


def test_an_empty_error_does_not_mean_everything(users_database: str, users_pool: Pool) -> None:
    event = write(users_pool, 1, "failed", "550 no such user")

    run = herald("deliveries", "retry", "--all", "--error", "", "--yes", DATABASE_URL=users_database)

    assert run.returncode == 2
    assert "--error" in run.stderr
    assert states_of(users_pool, [event]) == [("failed", 0)]


@pytest.mark.parametrize("option", ["--error", "--group", "--subscription"])
def test_an_option_that_is_not_utf_8_is_refused(users_database: str, option: str) -> None:
    run = herald("deliveries", "list", option, NOT_UTF8, DATABASE_URL=users_database)

    assert run.returncode == 2
    assert "UTF-8" in run.stderr


def test_until_may_be_in_the_future(users_database: str, users_pool: Pool) -> None:
    write(users_pool, 1, "failed")

    assert printed(herald("deliveries", "list", "--until=9999-12-31", DATABASE_URL=users_database)).count("failed") == 1


@pytest.mark.parametrize("command", [["status"], ["status", "--watch"], ["status", "--json"], ["deliveries", "list"]])
def test_it_ends_when_its_output_can_not_be_written(users_database: str, users_pool: Pool, command: list[str]) -> None:
    write(users_pool, 1, "failed")

    with Path("/dev/full").open("w", encoding="utf-8") as full:
        run = subprocess.run(
            [PROGRAM, *command],
            env=environment(DATABASE_URL=users_database),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert run.returncode != 0


def test_a_narrow_terminal_cuts_no_number(users_database: str) -> None:
    execute(
        users_database,
        "INSERT INTO operations (action, filter, state, eligible, exact, moved, finished_at)"
        " VALUES ('retry', '{}', 'done', 1234567, true, 1234567, now())",
    )

    _, shown = Terminal("operations", "list", DATABASE_URL=users_database, COLUMNS="40").finish()

    assert "1,234,567 of 1,234,567" in shown


@pytest.mark.parametrize("command", [["deliveries", "list"], ["deliveries", "groups"], ["user", "1"]])
def test_a_terminal_without_utf_8_shows_what_it_can(users_database: str, users_pool: Pool, command: list[str]) -> None:
    execute(users_database, "INSERT INTO users (email, email_key, full_name) VALUES ('a@example.com', 'a', 'Łucja 😀')")
    write(users_pool, 1, "failed", "“no” 😀")

    status, shown = Terminal(*command, DATABASE_URL=users_database, PYTHONIOENCODING="latin-1").finish()

    assert status == 0, shown
    assert "failed" in shown
    as_json = herald(*command, "--json", DATABASE_URL=users_database, PYTHONIOENCODING="latin-1")
    assert "😀" in str(json.loads(printed(as_json)))


def test_json_has_the_fields_of_the_api(users_database: str, users_pool: Pool) -> None:
    write(users_pool, 1, "failed")

    run = herald("deliveries", "list", "--subscription=audit_log", "--json", DATABASE_URL=users_database)

    [listed] = json.loads(printed(run))["deliveries"]
    assert listed.keys() == {*Delivery.model_fields, "subject"}


@pytest.mark.parametrize(
    "options",
    [
        [f"--subscription={number}" for number in range(21)],
        ["--subscription=no name"],
        [f"--error={'x' * 501}"],
        [f"--group={'x' * 2251}"],
    ],
    ids=["subscriptions", "name", "error", "group"],
)
def test_what_the_api_could_not_show_is_refused_with_the_name_of_the_option(
    users_database: str, options: list[str]
) -> None:
    for command in (["list"], ["groups"], ["cancel", "--all", "--yes"]):
        run = herald("deliveries", *command, *options, DATABASE_URL=users_database)

        assert run.returncode == 2
        assert f"Invalid value for '{options[0].partition('=')[0]}'" in run.stderr


@pytest.mark.usefixtures("running_relay")
def test_what_is_repeated_is_meant_once(users_database: str, users_pool: Pool) -> None:
    write(users_pool, 1, "failed", "550 no such user", ended=timedelta(minutes=1))
    repeated = ["--state=failed"] * 9 + ["--subscription=audit_log"] * 21

    run = herald("deliveries", "retry", "--all", "--yes", *repeated, DATABASE_URL=users_database)

    assert run.returncode == 0, run.stderr
    [operation] = execute(users_database, "SELECT filter FROM operations")
    assert operation["filter"] == {"states": ["failed"], "subscriptions": ["audit_log"]}
