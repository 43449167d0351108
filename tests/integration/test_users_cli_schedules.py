"""`users-api schedules`, as operators run it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from contracts import SCHEDULES, ReportDue, decode
from users_api.execute import operator

from .herald_cli import herald, rows
from .users_cli import execute, printed, refused, users_api

REPORTS = {"REPORT_TO": "boss@example.com"}


def test_schedules_are_listed_with_their_last_and_next_slot(users_database: str) -> None:
    [fresh] = json.loads(printed(users_api("schedules", "list", "--json", DATABASE_URL=users_database)))["schedules"]
    assert (fresh["name"], fresh["cron"], fresh["catch_up"]) == ("daily_report", SCHEDULES[0].cron, "last")
    assert (fresh["last_slot"], fresh["last_event_id"], fresh["last_made_at"]) == (None, None, None)
    upcoming = datetime.fromisoformat(fresh["next_slot"])
    assert timedelta(0) < upcoming - datetime.now(UTC) <= timedelta(days=1)
    assert datetime.fromisoformat(fresh["next_slot_there"]) == upcoming

    statement = "INSERT INTO schedule_slots VALUES ('daily_report', %s, %s, '2026-01-02 06:00:01Z')"
    for slot, event in (("-infinity", None), ("2026-01-02 06:00Z", "0198c0de-0000-7000-8000-000000000001")):
        execute(users_database, statement, slot, event)

    [listed] = json.loads(printed(users_api("schedules", "list", "--json", DATABASE_URL=users_database)))["schedules"]
    assert listed["last_slot"] == "2026-01-02T06:00:00+00:00"
    assert listed["last_event_id"] == "0198c0de-0000-7000-8000-000000000001"
    assert listed["last_made_at"] == "2026-01-02T06:00:01+00:00"
    [cells] = rows(printed(herald("schedules", "list", DATABASE_URL=users_database)))
    assert cells["event"] == "0198c0de-0000-7000-8000-000000000001"
    assert cells["last slot"] == "2026-01-02 06:00:00"
    assert datetime.fromisoformat(cells["there"]) == datetime.fromisoformat(listed["next_slot"])


def test_a_schedule_runs_now_and_goes_on_as_before(users_database: str) -> None:
    said = printed(users_api("schedules", "run", "daily_report", DATABASE_URL=users_database, **REPORTS))

    [row] = execute(users_database, "SELECT id, envelope FROM events")
    event = decode(row["envelope"], ReportDue)  # type: ignore[arg-type]  # JSON
    assert said == f"{row['id']} report_due: pending for daily_report\n"
    assert abs(event.data.slot - datetime.now(UTC)) < timedelta(minutes=1)
    assert execute(users_database, "SELECT state, subscription FROM deliveries") == [
        {"state": "pending", "subscription": "daily_report"}
    ]
    assert execute(users_database, "SELECT slot FROM schedule_slots") == []


def test_a_schedule_that_runs_now_is_said_as_json(users_database: str) -> None:
    said = printed(herald("schedules", "run", "daily_report", "--json", DATABASE_URL=users_database, **REPORTS))

    [row] = execute(users_database, "SELECT id::text, type FROM events")
    assert json.loads(said) == {
        "schedule": "daily_report",
        "event_id": row["id"],
        "event_type": row["type"],
        "subscriptions": ["daily_report"],
        "state": "pending",
    }


def test_who_ran_a_schedule_is_recorded(users_database: str) -> None:
    printed(herald("schedules", "run", "daily_report", DATABASE_URL=users_database, **REPORTS))

    [event] = execute(users_database, "SELECT id::text FROM events")
    [row] = execute(users_database, "SELECT * FROM operations")
    assert (row["action"], row["schedule"], row["state"]) == ("run", "daily_report", "done")
    assert (row["eligible"], row["exact"], row["moved"]) == (1, True, 1)
    assert row["requested_by"] == operator()
    assert row["filter"] == {"event": event["id"]}
    _, listed = printed(herald("operations", "list", DATABASE_URL=users_database)).splitlines()
    assert listed.split("\t")[1:4] == ["done", "run", "1 of 1"]
    assert listed.endswith(f"daily_report --event {event['id']}")


def test_without_an_effect_that_is_on_nothing_is_made(users_database: str) -> None:
    line = refused(users_api("schedules", "run", "daily_report", DATABASE_URL=users_database))

    assert "set REPORT_TO" in line
    assert execute(users_database, "SELECT id FROM operations") == []
    assert execute(users_database, "SELECT id FROM events") == []


def test_a_schedule_that_does_not_exist_is_refused(users_database: str) -> None:
    line = refused(users_api("schedules", "run", "weekly", DATABASE_URL=users_database, **REPORTS))
    assert line == "There is no schedule weekly. Schedules: daily_report"


@pytest.mark.parametrize("command", [["list"], ["run", "daily_report"]])
def test_without_a_database_the_command_says_so_in_one_line(command: list[str]) -> None:
    assert "DATABASE_URL" in refused(users_api("schedules", *command, **REPORTS))
