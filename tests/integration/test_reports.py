"""The auditor's reports: right, made once, in pages, and interrupted by their time limit."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs
from tests.integration.conftest import QUICK, Subscriptions
from tests.integration.users_cli import execute
from tests.patience import until

from auditor.reports import counting, handlers
from auditor.reports.handlers import make_report
from auditor.reports.store import keep
from contracts import DAILY_REPORT, REPORT_EMAIL, Event, ReportDue, ReportReady, decode
from devstack.redis_server import RedisServer
from messaging import TransientError, publish
from messaging.process.database import Pool, open_pool

NOW = datetime(2026, 3, 30, 4, 0, tzinfo=UTC)
"""06:00 in Berlin, on the day after its clocks went forward."""


@pytest.fixture
def url(new_database: Callable[[str], str]) -> str:
    return new_database("auditor")


@pytest.fixture
def pool(url: str) -> Iterator[Pool]:
    with open_pool(url, size=4, name="test") as opened:
        yield opened


def due(time_zone: str = "Europe/Berlin", slot: datetime = NOW) -> Event[ReportDue]:
    data = ReportDue(schedule="daily_report", slot=slot, time_zone=time_zone)
    return Event.about(data, source="users-api", subject="schedules/daily_report", correlation_id="test")


def audit(url: str, *times: str) -> None:
    statement = """
        INSERT INTO audit_log (event_id, action, email, user_id, correlation_id, occurred_at)
        SELECT gen_random_uuid(), 'user_registered', 'x@example.com', 1, 'test', at FROM unnest(%s::timestamptz[]) AS at
    """
    execute(url, statement, list(times))


def make(pool: Pool, event: Event[ReportDue], store: Path) -> None:
    with pool.connection() as connection:
        make_report(connection, event, store)


def announced(url: str) -> list[Event[ReportReady]]:
    rows: list[dict[str, Any]] = execute(url, "SELECT envelope FROM events")
    return [decode(row["envelope"], ReportReady) for row in rows]


def table(store: Path, report: UUID) -> list[list[str]]:
    with (store / f"{report}.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_a_report_counts_the_days_of_its_zone_without_a_gap(pool: Pool, url: str, tmp_path: Path) -> None:
    audit(url, "2026-03-27T22:59Z", "2026-03-27T23:00Z", "2026-03-29T21:59Z", "2026-03-29T22:00Z")
    audit(url, NOW.isoformat(), (NOW - timedelta(seconds=1)).isoformat())
    event = due()

    make(pool, event, tmp_path)

    assert table(tmp_path, event.id) == [
        ["day", "registrations"],
        ["2026-03-27", "1"],
        ["2026-03-28", "1"],
        ["2026-03-29", "1"],
        ["2026-03-30", "2"],
    ]
    assert (tmp_path / f"{event.id}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_report_is_announced_with_references_and_a_delivery(pool: Pool, url: str, tmp_path: Path) -> None:
    audit(url, "2026-03-29T12:00Z")
    event = due()

    make(pool, event, tmp_path)

    [ready] = announced(url)
    assert (ready.source, ready.subject, ready.correlationid) == ("auditor", f"reports/{event.id}", "test")
    assert (ready.data.until, ready.data.days, ready.data.registrations) == (NOW, 2, 1)
    assert [(file.name, file.path) for file in ready.data.files] == [
        ("registrations.csv", f"{event.id}.csv"),
        ("registrations.png", f"{event.id}.png"),
    ]
    assert [file.size for file in ready.data.files] == [(tmp_path / f.path).stat().st_size for f in ready.data.files]
    assert execute(url, "SELECT subscription, state FROM deliveries") == [
        {"subscription": REPORT_EMAIL.name, "state": "pending"}
    ]
    assert execute(url, "SELECT event_id, registrations FROM reports") == [{"event_id": event.id, "registrations": 1}]


def test_a_report_on_an_empty_log_is_a_report(pool: Pool, url: str, tmp_path: Path) -> None:
    event = due()
    make(pool, event, tmp_path)
    assert table(tmp_path, event.id) == [["day", "registrations"]]
    assert announced(url)[0].data.days == 0


def test_a_report_that_is_due_again_is_neither_made_nor_announced_again(pool: Pool, url: str, tmp_path: Path) -> None:
    event = due()
    make(pool, event, tmp_path)
    audit(url, "2026-03-29T12:00Z")

    make(pool, event, tmp_path)

    assert table(tmp_path, event.id) == [["day", "registrations"]], "the file that was announced stays"
    assert len(announced(url)) == 1


def test_attempts_at_the_same_time_announce_one_report(pool: Pool, url: str, tmp_path: Path) -> None:
    event = due()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: make(pool, event, tmp_path), range(4)))

    [ready] = announced(url)
    assert len(list(tmp_path.iterdir())) == 2
    assert [(tmp_path / file.path).stat().st_size for file in ready.data.files] == [f.size for f in ready.data.files]


def test_a_store_that_cannot_be_written_is_tried_again_and_announces_nothing(
    pool: Pool, url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(TransientError, match="REPORT_STORE can't be written"):
        make(pool, due(), tmp_path / "file")

    assert announced(url) == []
    assert execute(url, "SELECT event_id FROM reports") == []


def test_what_fails_before_the_commit_leaves_no_announcement_and_the_next_attempt_makes_it(
    pool: Pool, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = due()
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "publish", lambda _: ("SELECT 1 / 0", {}))
        with pytest.raises(Exception, match="division by zero"):
            make(pool, event, tmp_path)
    assert execute(url, "SELECT event_id FROM reports") == []

    make(pool, event, tmp_path)

    assert len(announced(url)) == 1
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


def test_the_log_is_read_in_pages_and_shows_progress(
    pool: Pool, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PAGE", 3)
    monkeypatch.setattr(counting, "PROGRESS", 5)
    audit(url, *["2026-03-29T12:00Z"] * 16)
    event = due()

    with capture_logs() as log:
        make(pool, event, tmp_path)

    assert table(tmp_path, event.id)[1] == ["2026-03-29", "16"]
    assert [line["rows"] for line in log if line["event"] == "report.progressed"] == [6, 12, 15]
    assert [line["rows"] for line in log if line["event"] == "report.made"] == [16]


# The time limit

LIMITED = DAILY_REPORT.model_copy(update={"time_limit": 4.0, "retry": QUICK, "switch": None})

WORKER = """
import os
from pathlib import Path

import contracts
from auditor.reports import counting

contracts.DAILY_REPORT = contracts.DAILY_REPORT.model_copy(update={"time_limit": 4.0})
pages, begun = counting._pages, Path(os.environ["REPORT_STORE"], "begun")

def endless_at_first(connection):
    again = not begun.exists()
    begun.touch()
    yield from pages(connection)
    while again:
        yield from pages(connection)

counting._pages = endless_at_first
from auditor.reports.worker import *
"""


class TestTheTimeLimit:
    @pytest.fixture
    def subscriptions(self) -> Subscriptions:
        return (LIMITED,)

    @pytest.fixture
    def worker(self, url: str, redis_server: RedisServer, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
        (tmp_path / "limited_worker.py").write_text(WORKER)
        environment = {"DATABASE_URL": url, "REDIS_URL": redis_server.url, "REPORT_STORE": str(tmp_path)}
        command = [sys.executable, "-m", "dramatiq", "limited_worker", "--processes", "1", "--threads", "1"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
            )
        yield process
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @pytest.mark.usefixtures("running_relay")
    def test_ends_an_attempt_in_a_retry_and_the_only_thread_goes_on(
        self, worker: subprocess.Popen[bytes], url: str, users_pool: Pool, tmp_path: Path
    ) -> None:
        audit(url, *["2026-03-29T12:00Z"] * 10_000)
        event = due()
        with users_pool.connection() as connection:
            connection.execute(*publish([event], subscriptions=[LIMITED]))
            row = "SELECT state, attempts FROM deliveries WHERE event_id = %s"
            until(lambda: connection.execute(row, [event.id]).fetchone() == ("succeeded", 2))

        log = (tmp_path / "log").read_text()
        assert log.count("delivery.retry") == 1
        assert "TimeLimitExceeded" in log
        assert log.count("is ready for action") == 1, "the process is the same"
        assert worker.poll() is None
        assert table(tmp_path, event.id)[1] == ["2026-03-29", "10000"]
        assert len(announced(url)) == 1


def test_the_workers_statements_are_ended_by_postgresql(url: str, redis_server: RedisServer, tmp_path: Path) -> None:
    """The time limit can't interrupt a thread that waits for PostgreSQL's answer."""
    look = """
from auditor.reports.worker import pool
with pool.connection() as connection:
    print(connection.execute("SHOW statement_timeout").fetchone())
"""
    environment = {"DATABASE_URL": url, "REDIS_URL": redis_server.url, "REPORT_STORE": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", look], env=os.environ | environment, capture_output=True, check=True)

    assert told.stdout == b"('1min',)\n"


def test_an_id_is_all_that_a_file_is_named_by(tmp_path: Path) -> None:
    report = uuid4()
    kept = keep(tmp_path, report, "../../etc/passwd.csv", "text/csv", b"content")
    assert kept.path == f"{report}.csv"
    assert [file.name for file in tmp_path.iterdir()] == [kept.path]
