"""Which processes `make run` starts: those of reports only with REPORT_TO, and one relay for each database."""

import pytest

from devstack.herald import SERVICES, Herald

APART = {name: f"postgresql://localhost/{name}" for name in SERVICES}
SHARED = dict.fromkeys(SERVICES, "postgresql://localhost/all")
ALWAYS = ["users-api", "relay", "notifier", "auditor"]


@pytest.mark.parametrize(
    ("databases", "report_to", "more"),
    [
        (APART, "", []),
        (SHARED, "", []),
        (APART, "boss@example.com", ["reports", "auditor-relay"]),
        (SHARED, "boss@example.com", ["reports"]),
    ],
)
def test_processes_of_reports_are_started_where_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, databases: dict[str, str], report_to: str, more: list[str]
) -> None:
    monkeypatch.setenv("REPORT_TO", report_to)
    monkeypatch.delenv("REPORT_STORE", raising=False)
    herald = Herald(databases, "redis://", "smtp://", 8000, report_store="/var/reports")

    commands = {command.name: command for command in herald.processes()}

    assert list(commands) == ALWAYS + more
    assert {command.env["REPORT_STORE"] for command in commands.values()} == {"/var/reports"}
    assert all(commands[name].env["DATABASE_URL"] == databases["auditor"] for name in more)
