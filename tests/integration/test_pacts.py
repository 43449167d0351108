"""The providers' side of the pacts: what the real outboxes hold is what the consumers' pacts state."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import AwareDatetime
from tests.contract.pact_files import PACTS
from tests.contract.pact_verifying import PactUnverified, verify
from tests.integration.users_cli import execute

import auditor
from auditor.reports.handlers import make_report
from contracts import DAILY_REPORT, SCHEDULES, Event, EventData, ReportDue, decode
from messaging.process.database import Pool, open_pool
from messaging.publishing import bulk, switches
from messaging.relay.listener import Listener
from messaging.relay.operate import Operator
from messaging.relay.relay import SETTINGS
from messaging.relay.scheduler import Scheduler
from users_api import PUBLISHER, registration

from .live_api import LiveApi
from .operated import finish, request

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
    return published(users_database, "report_due")


UNCERTAIN = "UPDATE deliveries SET state = 'uncertain', due_at = NULL, finished_at = now() WHERE subscription = %s"


def confirmed(api: LiveApi) -> Envelope:
    """Confirm over HTTP that an uncertain mail was sent, and return the event that the outbox holds then."""
    api.execute(UNCERTAIN, "welcome_email")
    [row] = api.rows("SELECT event_id FROM deliveries WHERE subscription = 'welcome_email'")
    assert api.http.post(f"/deliveries/{row['event_id']}/welcome_email/confirm").status_code == 202
    [row] = api.rows("SELECT envelope FROM events WHERE type = 'effect_confirmed'")
    envelope: Envelope = row["envelope"]
    return envelope


def confirmed_by_relay(database_url: str) -> Envelope:
    """Let the auditor's relay confirm that an uncertain report was sent, and return what it publishes."""
    execute(database_url, UNCERTAIN, "report_email")
    with open_pool(database_url, size=1, name="test") as pool:
        request(pool, "confirm", subscriptions=("report_email",))
    with closing(Operator(Listener(database_url, SETTINGS, channel=bulk.CHANNEL), auditor.PUBLISHER)) as operator:
        finish(operator)
    return published(database_url, "effect_confirmed")


def published(database_url: str, event_type: str) -> Envelope:
    """Return the one event of a type in an outbox."""
    [row] = execute(database_url, "SELECT envelope FROM events WHERE type = %s", event_type)
    envelope: Any = row["envelope"]
    assert isinstance(envelope, dict)
    return envelope


def test_users_api_writes_what_the_pacts_of_its_consumers_state(api: LiveApi, report_due: Envelope) -> None:
    user_registered = registered(api)
    effect_confirmed = confirmed(api)
    written = {"user_registered": user_registered, "report_due": report_due, "effect_confirmed": effect_confirmed}

    verify("users-api", PACTS, written)


def test_the_auditor_writes_what_the_pact_of_its_consumer_states(
    new_database: Callable[[str], str], report_due: Envelope, tmp_path: Path
) -> None:
    url = new_database("auditor")
    with open_pool(url, size=1, name="test") as pool, pool.connection() as connection:
        make_report(connection, decode(report_due, ReportDue), tmp_path)

    report_ready = published(url, "report_ready")
    verify("auditor", PACTS, {"report_ready": report_ready, "effect_confirmed": confirmed_by_relay(url)})


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
