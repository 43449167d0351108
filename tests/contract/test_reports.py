"""report_due and report_ready, version 1: what the relay and the auditor write, and what their consumers read."""

import json
from datetime import UTC, datetime

import pytest

from auditor.reports.handlers import ready
from contracts import SCHEDULES, EventData, InvalidEvent, ReportDue, ReportReady, Schedule, Scheduled, decode
from messaging.publishing.schedules import event_of

from .goldens import golden


def test_the_relay_writes_exactly_the_golden() -> None:
    schedule = Schedule(name="daily_report", cron="0 6 * * *", time_zone="Europe/Berlin", event=ReportDue)
    slot, now = datetime(2026, 3, 14, 6, tzinfo=UTC), datetime(2026, 3, 14, 6, 0, 0, 123456, UTC)

    written = json.loads(event_of(schedule, slot, now, "users-api").model_dump_json())

    assert json.dumps(written | {"id": golden("report_due")["id"]}) == json.dumps(golden("report_due"))


def test_the_auditor_writes_exactly_the_golden() -> None:
    due, expected = decode(golden("report_due"), ReportDue), golden("report_ready")
    files = decode(expected, ReportReady).data.files
    days = {datetime(2026, 3, day, tzinfo=UTC).date(): count for day, count in ((13, 1), (14, 2))}

    written = json.loads(ready(due, days, files).model_dump_json())

    assert json.dumps(written | {name: expected[name] for name in ("id", "time")}) == json.dumps(
        expected | {"correlationid": due.correlationid}
    )


@pytest.mark.parametrize(("name", "model"), [("report_due", ReportDue), ("report_ready", ReportReady)])
def test_a_consumer_reads_the_golden_and_would_write_it_again(name: str, model: type[EventData]) -> None:
    assert json.loads(decode(golden(name), model).model_dump_json()) == golden(name)


@pytest.mark.parametrize("size", [-1, "many", None])
def test_a_broken_reference_is_refused_naming_its_field(size: object) -> None:
    broken = golden("report_ready")
    broken["data"]["files"][0]["size"] = size
    with pytest.raises(InvalidEvent, match=r"data\.files\.0\.size"):
        decode(broken, ReportReady)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda each: each.name)
def test_a_slot_is_all_that_the_event_of_a_schedule_needs(schedule: Schedule) -> None:
    assert schedule.event.model_fields.keys() == Scheduled.model_fields.keys()
