"""The daily report, from an operator's command to the mail with both files: three services, each with its database."""

import csv
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from chaos.system import System

SUBSCRIPTIONS = {"daily_report", "report_email"}


def test_the_boss_gets_the_numbers_and_the_picture(start_system: Callable[..., System], tmp_path: Path) -> None:
    system = start_system(REPORT_TO="The Boss <boss@example.com>", REPORT_STORE=str(tmp_path / "store"))
    for name in ("maya", "noor", "ole"):
        system.register(name)
    system.until(lambda: len(system.audited()) == 3)

    said = system.run("users-api", "schedules", "run", "daily_report")

    assert said.endswith("report_due: pending for daily_report\n")
    system.until(lambda: "boss@example.com" in system.sink.recipients)
    [mail] = [each for each in system.sink.mails if each["X-Recipient"] == "boss@example.com"]
    assert mail["Subject"].startswith("Registrations until ")
    assert mail["Subject"].endswith(": 3")
    table, picture = mail.iter_attachments()
    assert (table.get_filename(), table.get_content_type()) == ("registrations.csv", "text/csv")
    rows = list(csv.reader(StringIO(table.get_content())))
    assert rows[0] == ["day", "registrations"]
    assert sum(int(count) for _, count in rows[1:]) == 3
    assert (picture.get_filename(), picture.get_content_type()) == ("registrations.png", "image/png")
    assert picture.get_content().startswith(b"\x89PNG")
    for process in ("relay", "auditor-relay", "reports", "notifier"):
        assert "boss" not in system.log(process).casefold(), process


def test_a_report_waits_for_what_is_stopped_and_comes_once(start_system: Callable[..., System], tmp_path: Path) -> None:
    system = start_system(REPORT_TO="boss@example.com", REPORT_STORE=str(tmp_path / "store"))
    for name in ("reports", "auditor-relay", "notifier"):
        system.processes[name].kill()
    system.run("users-api", "schedules", "run", "daily_report")

    for name in ("reports", "auditor-relay", "notifier"):
        system.processes[name].start()
        if name == "reports":
            system.until(lambda: system.query("auditor", "SELECT 1 FROM reports") != [])
            system.processes[name].kill()
            system.processes[name].start()

    system.until(lambda: system.sink.recipients == ["boss@example.com"])
    ended = "SELECT state FROM deliveries WHERE subscription = %(name)s"
    for database, name in (("users", "daily_report"), ("auditor", "report_email")):
        system.until(lambda: system.query(database, ended, {"name": name}) == [("succeeded",)])  # noqa: B023  # called at once
    assert system.sink.recipients == ["boss@example.com"]


def test_in_one_database_for_all_services_one_relay_moves_both_publishers_deliveries(
    start_system: Callable[..., System], tmp_path: Path
) -> None:
    system = start_system(shared=True, REPORT_TO="boss@example.com", REPORT_STORE=str(tmp_path / "store"))
    assert "auditor-relay" not in system.processes

    system.run("users-api", "schedules", "run", "daily_report")

    system.until(lambda: system.sink.recipients == ["boss@example.com"])
