"""The providers' side of the pacts: what the real outboxes hold is what the consumers' pacts state."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import AwareDatetime
from tests.contract.pact_files import PACTS
from tests.contract.pact_verifying import PactUnverified, verify
from tests.integration.users_cli import execute

from auditor.reports.handlers import make_report
from contracts import DAILY_REPORT, SCHEDULES, Event, EventData, ReportDue, decode
from messaging.process.database import Pool, open_pool
from messaging.publishing import switches
from messaging.relay.scheduler import Scheduler
from users_api import PUBLISHER, registration

from .live_api import LiveApi

Envelope = dict[str, Any]


@pytest.fixture(autouse=True)
def _reports_are_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(str(DAILY_REPORT.switch), "boss@example.com")
    switches.enabled.cache_clear()
    yield
    switches.enabled.cache_clear()


def registered(api: LiveApi) -> Envelope:
    """Register a user over HTTP, and return the event that the outbox holds."""
    assert api.register(full_name="Zoë O'Brien 😀").status_code == 201
    [row] = api.rows("SELECT envelope FROM events")
    envelope: Envelope = row["envelope"]
    return envelope


@pytest.fixture
def report_due(users_pool: Pool, users_database: str) -> Envelope:
    """What users-api's relay writes when the daily report is due."""
    began_yesterday = "INSERT INTO schedule_slots VALUES (%s, '-infinity', NULL, now() - interval '25 hours')"
    execute(users_database, began_yesterday, SCHEDULES[0].name)
    Scheduler(users_pool, SCHEDULES, PUBLISHER).make()
    return published(users_database)


def published(database_url: str) -> Envelope:
    """Return the one event of an outbox."""
    [row] = execute(database_url, "SELECT envelope FROM events")
    envelope: Any = row["envelope"]
    assert isinstance(envelope, dict)
    return envelope


def test_users_api_writes_what_the_pacts_of_its_consumers_state(api: LiveApi, report_due: Envelope) -> None:
    verify("users-api", PACTS, {"user_registered": registered(api), "report_due": report_due})


def test_the_auditor_writes_what_the_pact_of_its_consumer_states(
    new_database: Callable[[str], str], report_due: Envelope, tmp_path: Path
) -> None:
    url = new_database("auditor")
    with open_pool(url, size=1, name="test") as pool, pool.connection() as connection:
        make_report(connection, decode(report_due, ReportDue), tmp_path)

    verify("auditor", PACTS, {"report_ready": published(url)})


class Renamed(EventData):
    """Version 1 with a field renamed, which a new version should have done."""

    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 1

    user_id: int
    email: str
    name: str
    registered_at: AwareDatetime


def test_a_producer_with_a_renamed_field_is_refused_by_the_mails_and_the_webhook(
    api: LiveApi, report_due: Envelope, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed(request: registration.Registration) -> Event[Any]:
        user, now = request.user, datetime.now(UTC)
        data = Renamed(user_id=registration._UNKNOWN, email=user.email, name=user.full_name, registered_at=now)
        return Event.about(data, source=PUBLISHER, subject="users/1", correlation_id=request.correlation_id, time=now)

    monkeypatch.setattr(registration, "_event", renamed)

    with pytest.raises(PactUnverified) as refused:
        verify("users-api", PACTS, {"user_registered": registered(api), "report_due": report_due})

    failures = str(refused.value).partition("Failures:")[2]
    assert failures.count("missing the following keys: full_name") == 3
    for effect in ("welcome_email", "follow_up_email", "webhook"):
        assert f"between notifier and users-api - {effect}\n" in failures
    assert "auditor" not in failures
