"""What a command says when the database fails it: one line, with what to do."""

import psycopg
import pytest

from messaging.errors import DatabaseUnsuitable
from messaging.process.command import exit_if_database_fails

NO_TABLE = "42P01: no x: the tables are missing, or of an older version. If DATABASE_URL is that of auditor, run: "


@pytest.mark.parametrize(
    ("error", "line", "status"),
    [
        (psycopg.errors.UndefinedTable("42P01: no x"), f"auditor log: {NO_TABLE}auditor migrate", 3),
        (psycopg.errors.UndefinedColumn("42P01: no x"), f"auditor log: {NO_TABLE}auditor migrate", 3),
        (
            psycopg.errors.InsufficientPrivilege("42501: no"),
            "auditor log: 42501: no. Connect as the owner of the database, who runs auditor migrate",
            3,
        ),
        (
            psycopg.errors.DeadlockDetected("40P01: deadlock detected"),
            "auditor log: Another process was working on the same rows, so nothing was changed. Run the command again.",
            3,
        ),
        (
            psycopg.OperationalError("refused\nIs it running?\n"),
            "auditor log: refused. Check DATABASE_URL and that PostgreSQL answers.",
            3,
        ),
        (
            psycopg.OperationalError(),
            "auditor log: OperationalError. Check DATABASE_URL and that PostgreSQL answers.",
            3,
        ),
        (DatabaseUnsuitable("not UTF8"), "configuration: DATABASE_URL: not UTF8", 2),
    ],
    ids=["table", "column", "rights", "deadlock", "refused", "silent", "unsuitable"],
)
def test_a_failing_database_ends_a_command_with_one_line(
    error: Exception, line: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, exit_if_database_fails("auditor migrate", command="auditor log", status=3):
        raise error

    assert end.value.code == status
    assert capsys.readouterr().err == f"{line}\n"


def test_a_command_whose_name_goes_without_saying(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), exit_if_database_fails("users-api migrate"):
        raise psycopg.OperationalError("refused")

    assert capsys.readouterr().err == "refused. Check DATABASE_URL and that PostgreSQL answers.\n"


def test_any_other_error_is_not_touched() -> None:
    with pytest.raises(KeyError), exit_if_database_fails("users-api migrate"):
        raise KeyError
