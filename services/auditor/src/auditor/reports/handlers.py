"""Make a report: plain functions, without Dramatiq.

The row in `reports`, the event that the report is ready and its delivery are one transaction. So a report that is due
twice is made, announced and mailed once. The files are written before the commit. If that fails nothing announces them,
and the next attempt replaces them.
"""

import csv
import time
from collections.abc import Mapping
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from psycopg import Connection

from auditor import PUBLISHER
from auditor.reports import plot
from auditor.reports.counting import registrations_by_day
from auditor.reports.store import keep
from contracts import Event, ReportDue, ReportReady, StoredFile
from messaging import TransientError, publish

_EXISTS: LiteralString = """
-- Return a row if the report was made.
SELECT 1 FROM reports WHERE event_id = %(event_id)s
"""

_INSERT: LiteralString = """
-- Note that a report is made; return a row unless another attempt has made it. If one is just doing so, wait for it.
INSERT INTO reports (event_id, schedule, until, registrations, seconds)
VALUES (%(event_id)s, %(schedule)s, %(until)s, %(registrations)s, %(seconds)s)
ON CONFLICT DO NOTHING
RETURNING event_id
"""

log: structlog.stdlib.BoundLogger = structlog.get_logger("reports")


def make_report(connection: Connection[Any], event: Event[ReportDue], store: Path) -> None:
    """Count the registrations before the event's slot, keep the report in the store, and publish that it is ready.

    `connection` is in autocommit. Raises TransientError if the store can't be written.
    """
    if connection.execute(_EXISTS, {"event_id": event.id}).fetchone():
        return
    began = time.monotonic()
    days = registrations_by_day(connection, event.data.slot, ZoneInfo(event.data.time_zone))
    contents = table(days), picture(days, event.data)
    row = {"schedule": event.data.schedule, "until": event.data.slot, "registrations": sum(days.values())}
    row |= {"event_id": event.id, "seconds": time.monotonic() - began}
    with connection.transaction():
        if not connection.execute(_INSERT, row).fetchone():
            return
        files = kept(store, event.id, *contents)
        connection.execute(*publish([ready(event, days, files)]))
    log.info("report.made", seconds=round(time.monotonic() - began, 1), rows=row["registrations"], days=len(days))


def table(days: Mapping[date, int]) -> bytes:
    """Write the days as CSV (RFC 4180)."""
    text = StringIO()
    csv.writer(text).writerows([("day", "registrations"), *((day.isoformat(), count) for day, count in days.items())])
    return text.getvalue().encode()


def picture(days: Mapping[date, int], due: ReportDue) -> bytes:
    """Draw the days."""
    until = due.slot.astimezone(ZoneInfo(due.time_zone))
    return plot.png(days, f"Registrations by day, until {until.day} {until:%B %Y}, {until:%H:%M} ({due.time_zone})")


def kept(store: Path, report: UUID, csv_file: bytes, png_file: bytes) -> tuple[StoredFile, StoredFile]:
    """Keep both files. An error of the store is the operator's to mend, and the report is tried again."""
    try:
        return (
            keep(store, report, "registrations.csv", "text/csv", csv_file),
            keep(store, report, "registrations.png", "image/png", png_file),
        )
    except OSError as error:
        raise TransientError(f"REPORT_STORE can't be written: {error.strerror}; make it a writable directory") from None


def ready(event: Event[ReportDue], days: Mapping[date, int], files: tuple[StoredFile, ...]) -> Event[ReportReady]:
    """Return the event that announces a report."""
    data = ReportReady(
        until=event.data.slot,
        time_zone=event.data.time_zone,
        days=len(days),
        registrations=sum(days.values()),
        files=files,
    )
    return Event.about(data, source=PUBLISHER, subject=f"reports/{event.id}", correlation_id=event.correlationid)
