"""One round of a relay: what it removes for the service, what it logs, and when it ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs
from tests.integration.conftest import QUICK_SUBSCRIPTIONS, RelayParts
from tests.integration.housekeeping.conftest import MONTH, Housekeep, Old, column, events
from tests.integration.workers import run_relay
from tests.patience import until

from devstack.redis_server import RedisServer
from messaging.relay import Retention
from messaging.relay.receipt_reader import ReceiptReader
from users_api.retention import FORGET_KEYS


@pytest.mark.parametrize(
    ("retention", "kept"), [(timedelta(days=30), ["30 min", "2 hours", "23 hours"]), (timedelta(hours=1), ["30 min"])]
)
def test_answers_are_forgotten_after_a_day_or_sooner(
    relay: RelayParts, housekeep: Housekeep, retention: timedelta, kept: list[str]
) -> None:
    for age in ("30 min", "2 hours", "23 hours", "25 hours", "26 hours", "2 days", "3 days", "99 days"):
        relay.execute(
            "INSERT INTO idempotency_keys VALUES (%s, '', 201, '{}', now() - %s::interval)",
            *(age, age),
        )

    forget = Retention(retention, {"idempotency_keys": FORGET_KEYS})
    housekeep(retention=forget, limit=2).tidy()

    assert column(relay, "SELECT key FROM idempotency_keys ORDER BY created_at DESC") == kept


def test_one_line_says_what_was_removed_and_none_that_nothing_was(
    relay: RelayParts,
    housekeep: Housekeep,
    old: Old,
    readers: dict[str, ReceiptReader],
) -> None:
    housekeeper = housekeep(relay_gone=0.0, limit=2)
    old(3)
    relay.execute("INSERT INTO idempotency_keys VALUES ('key', '', 201, '{}', '2000-01-01')")

    with capture_logs() as log:
        housekeeper.tidy()
        housekeeper.tidy()

    removed = {"events": 3, "idempotency_keys": 1, "relays": 1}
    assert log == [{"event": "history.removed", "log_level": "info", **removed}]


def test_what_was_removed_before_an_error_is_said_too(relay: RelayParts, housekeep: Housekeep, old: Old) -> None:
    old(3)
    broken = Retention(timedelta(days=30), {"answers": "DELETE FROM nowhere"})

    with capture_logs() as log, pytest.raises(psycopg.errors.UndefinedTable):
        housekeep(retention=broken).tidy()

    assert [(line["event"], line["events"]) for line in log] == [("history.removed", 3)]


def test_a_relay_that_is_told_to_stop_finishes_the_batch_in_hand(
    relay: RelayParts, housekeep: Housekeep, old: Old
) -> None:
    stop = threading.Event()
    stop.set()
    old(5)

    housekeep(stop=stop, limit=2).tidy()

    assert len(events(relay)) == 3


@pytest.mark.usefixtures("quick_shutdown")
def test_a_relay_does_it_again_and_again(
    relay: RelayParts, old: Old, users_database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.relay.relay.HOUSEKEEP_SECONDS", 0.01)
    stop = threading.Event()
    arguments = (users_database, redis_server.url, QUICK_SUBSCRIPTIONS, stop, MONTH)
    loop = threading.Thread(target=run_relay, args=arguments)
    loop.start()
    try:
        for _ in range(2):
            old(1)
            until(lambda: events(relay) == set())
    finally:
        stop.set()
        loop.join()


def test_the_operators_setting_reaches_the_relay(
    relay: RelayParts, old: Old, users_database: str, redis_server: RedisServer
) -> None:
    """31 days old is within the retention of one relay and beyond that of the next."""
    old(1)
    relay.execute("INSERT INTO idempotency_keys VALUES ('first', '', 201, '{}', now() - interval '25 hours')")
    with relay_process(users_database, redis_server.url, RETENTION_DAYS="31.5"):
        until(lambda: column(relay, "SELECT key FROM idempotency_keys") == [])
    assert len(events(relay)) == 1

    with relay_process(users_database, redis_server.url, RETENTION_DAYS="30.5"):
        until(lambda: events(relay) == set())


@contextmanager
def relay_process(database_url: str, redis_url: str, **environment: str) -> Iterator[None]:
    """Run `users-api relay` until the block ends."""
    program = str(Path(sys.executable).with_name("users-api"))
    given = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "REDIS_URL": redis_url, **environment}
    with subprocess.Popen([program, "relay"], env=given, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
