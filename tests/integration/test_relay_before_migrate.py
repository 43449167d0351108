"""A relay that is newer than its database says which command is missing, and nothing is lost meanwhile."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs
from tests.integration.conftest import RelayParts
from tests.patience import until

from contracts import Event, UserRegistered
from messaging.consuming.receipt_writer import report
from messaging.wire.receipt import Receipt
from users_api import PUBLISHER

from .attempted import Attempt, attempts

REMEDY = 'relation "attempts" does not exist. If the database is of an older version, run: users-api migrate'


@pytest.mark.usefixtures("quick_shutdown")
def test_what_it_cannot_record_waits_until_the_database_is_migrated(
    relay: RelayParts,
    publish_users: Callable[..., list[Event[UserRegistered]]],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr("messaging.relay.relay.TAKE_OVER_SECONDS", 0.5)
    lucky, luckless = (event.id for event in publish_users(2))
    relay.dispatcher.dispatch()
    relay.execute("ALTER TABLE attempts RENAME TO not_yet")
    with capture_logs() as logged:
        request.getfixturevalue("running_relay")
        report(relay.redis, PUBLISHER, [Receipt(luckless, "audit_log", 1, "failed", error="no such user")])
        until(lambda: any("attempts" in line.get("error", "") for line in logged))
        report(relay.redis, PUBLISHER, [Receipt(lucky, "audit_log", 1, "succeeded")])
        until(lambda: relay.row(lucky)["state"] == "succeeded")
        assert relay.row(luckless)["state"] == "queued"

        relay.execute("ALTER TABLE not_yet RENAME TO attempts")
        until(lambda: relay.row(luckless)["state"] == "failed")

    assert attempts(relay.pool, luckless) == [Attempt(1, 0, 1, "failed", "no such user")]
    assert {line["error"].partition(": ")[2] for line in logged if "attempts" in line.get("error", "")} == {REMEDY}
