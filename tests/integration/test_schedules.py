"""Schedules on real PostgreSQL: each slot makes one event, however many relays make it and whatever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs
from tests.integration.users_cli import execute

from contracts import DAILY_REPORT, Event, ReportDue, Schedule, decode
from devstack.redis_server import RedisServer
from messaging.errors import ConfigurationError
from messaging.process.database import Pool
from messaging.publishing import schedules, switches
from messaging.relay.scheduler import LOOK_SECONDS, Scheduler
from users_api import PUBLISHER

HOURLY = Schedule(name="hourly", cron="0 * * * *", time_zone="Europe/Berlin", event=ReportDue, catch_up="all")
DAILY = HOURLY.model_copy(update={"name": "daily", "cron": "0 6 * * *", "catch_up": "last"})


@pytest.fixture(autouse=True)
def _reports_are_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(str(DAILY_REPORT.switch), "boss@example.com")
    switches.enabled.cache_clear()
    yield
    switches.enabled.cache_clear()


def scheduler(pool: Pool, *declared: Schedule) -> Scheduler:
    return Scheduler(pool, declared, PUBLISHER)


def slots(url: str, schedule: str = "hourly") -> list[datetime]:
    """Return the slots for which there is an event."""
    found = execute(
        url, "SELECT slot FROM schedule_slots WHERE schedule = %s AND event_id IS NOT NULL ORDER BY slot", schedule
    )
    return [row["slot"] for row in found]  # type: ignore[misc]  # a timestamp


def events(url: str) -> list[Event[ReportDue]]:
    rows: list[dict[str, Any]] = execute(url, "SELECT envelope FROM events ORDER BY envelope->'data'->>'slot'")
    return [decode(row["envelope"], ReportDue) for row in rows]


def begin(url: str, schedule: Schedule, hours: float) -> None:
    """Let a schedule have begun `hours` ago."""
    statement = "INSERT INTO schedule_slots VALUES (%s, '-infinity', NULL, now() - make_interval(secs => %s))"
    execute(url, statement, schedule.name, 3600 * hours)


def the_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def test_a_new_schedule_begins_now_and_makes_up_no_slot(users_pool: Pool, users_database: str) -> None:
    wait = scheduler(users_pool, HOURLY, DAILY).make()

    assert 0 < wait <= LOOK_SECONDS
    assert events(users_database) == []
    begun = execute(users_database, "SELECT schedule, slot = '-infinity' AS begins FROM schedule_slots ORDER BY 1")
    assert begun == [{"schedule": "daily", "begins": True}, {"schedule": "hourly", "begins": True}]


def test_each_slot_since_the_newest_is_one_event_with_a_delivery(users_pool: Pool, users_database: str) -> None:
    begin(users_database, HOURLY, 3)

    with capture_logs() as log:
        assert scheduler(users_pool, HOURLY).make() == 0.0
    scheduler(users_pool, HOURLY).make()

    expected = [the_hour() - timedelta(hours=ago) for ago in (2, 1, 0)]
    made = events(users_database)
    assert slots(users_database) == [event.data.slot for event in made] == expected
    assert {(event.data.schedule, event.data.time_zone) for event in made} == {("hourly", "Europe/Berlin")}
    assert {(event.source, event.subject) for event in made} == {(PUBLISHER, "schedules/hourly")}
    assert made[0].correlationid == f"hourly-{expected[0]:%Y-%m-%dT%H:%MZ}"
    deliveries = execute(users_database, "SELECT event_id, subscription, state FROM deliveries")
    assert {(row["event_id"], row["subscription"], row["state"]) for row in deliveries} == {
        (event.id, DAILY_REPORT.name, "pending") for event in made
    }
    assert [(line["event"], line["slot"]) for line in log] == [("slot.made", slot.isoformat()) for slot in expected]


@pytest.mark.parametrize(("catch_up", "made"), [("last", 1), ("all", 5), ("none", 0)])
def test_after_a_downtime_the_policy_decides(users_pool: Pool, users_database: str, catch_up: str, made: int) -> None:
    past = Schedule.model_validate(
        {**HOURLY.model_dump(), "catch_up": catch_up, "cron": f"{(datetime.now(UTC).minute + 30) % 60} * * * *"}
    )
    begin(users_database, past, 5)

    for _ in range(3):
        scheduler(users_pool, past).make()

    assert len(slots(users_database)) == made
    if catch_up == "last":
        assert datetime.now(UTC) - slots(users_database)[0] < timedelta(hours=1)


def test_many_missed_slots_come_in_rounds(
    users_pool: Pool, users_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.publishing.slots.AT_ONCE", 10)
    begin(users_database, HOURLY, 25)
    rounds = scheduler(users_pool, HOURLY)

    assert [rounds.make() for _ in range(3)] == [0.0] * 3
    assert rounds.make() > 0
    assert len(slots(users_database)) == 25


def test_relays_that_make_at_the_same_time_make_each_slot_once(users_pool: Pool, users_database: str) -> None:
    begin(users_database, HOURLY, 200)
    relays = [scheduler(users_pool, HOURLY) for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda relay: relay.make(), relays))

    made = events(users_database)
    assert len(made) == len({event.data.slot for event in made}) == 200


def test_a_relay_that_is_late_publishes_nothing(users_pool: Pool, users_database: str) -> None:
    """It computed its slots before another relay made them."""
    slot, now = the_hour(), datetime.now(UTC)
    for _ in range(2):
        with users_pool.connection() as connection:
            connection.execute(schedules.MAKE, schedules.making([(HOURLY, slot)], now, PUBLISHER))

    assert len(events(users_database)) == 1
    assert len(execute(users_database, "SELECT event_id FROM deliveries")) == 1


def test_the_clock_is_that_of_the_database(
    users_pool: Pool, users_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's clock may be wrong by hours. `now()` in a schema of our own stands for the database's clock."""
    tomorrow = "SELECT clock_timestamp() + interval '1 day'"
    execute(
        users_database,
        f"CREATE SCHEMA ahead; CREATE FUNCTION ahead.now() RETURNS timestamptz LANGUAGE sql AS $${tomorrow}$$",
    )
    begin(users_database, HOURLY, 0)
    with psycopg.connect(users_database) as connection:
        database = connection.info.dbname
    execute(users_database, f"ALTER DATABASE {database} SET search_path = ahead, public, pg_catalog")
    users_pool.check()
    for connection in [users_pool.getconn() for _ in range(4)]:
        connection.execute("SET search_path = ahead, public, pg_catalog")
        users_pool.putconn(connection)

    scheduler(users_pool, HOURLY).make()

    assert len(slots(users_database)) == 24


def test_a_changed_expression_holds_from_the_newest_slot_on(users_pool: Pool, users_database: str) -> None:
    begin(users_database, HOURLY, 5)
    scheduler(users_pool, HOURLY).make()
    changed = HOURLY.model_copy(update={"cron": "*/5 * * * *"})

    scheduler(users_pool, changed).make()

    assert (
        min(set(slots(users_database)) - {the_hour() - timedelta(hours=ago) for ago in range(5)}, default=the_hour())
        >= the_hour()
    )


def test_a_schedule_that_cannot_be_read_stops_the_start(users_pool: Pool) -> None:
    with pytest.raises(ConfigurationError, match="Bad hour"):
        scheduler(users_pool, HOURLY.model_copy(update={"cron": "0 25 * * *"}))


# Real relays

RELAY = """
import sys
import threading

from contracts import SUBSCRIPTIONS, ReportDue, Schedule
from messaging.process import logs
from messaging.publishing import slots
from messaging.relay import run

# Each second is a slot here: Debian's cron has no seconds, but CronSim has.
slots._fault = lambda schedule: ""
schedule = Schedule(name="often", cron="* * * * * *", time_zone="UTC", event=ReportDue, catch_up="all")
logs.configure("INFO", "json")
run(sys.argv[1], sys.argv[2], SUBSCRIPTIONS, threading.Event(), publisher="users-api", schedules=[schedule])
"""


def test_two_relays_that_are_killed_again_and_again_make_each_slot_once(
    tmp_path: Path, users_database: str, redis_server: RedisServer
) -> None:
    (tmp_path / "relay.py").write_text(RELAY)
    log = (tmp_path / "log").open("ab")

    def start() -> subprocess.Popen[bytes]:
        arguments = [sys.executable, str(tmp_path / "relay.py"), users_database, redis_server.url]
        return subprocess.Popen(arguments, stdout=log, stderr=log)

    relays = [start(), start()]
    try:
        deadline = time.monotonic() + 60
        for turn in range(5):
            before = len(slots(users_database, "often"))
            while len(slots(users_database, "often")) < before + 2:
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.05)
            os.kill(relays[turn % 2].pid, signal.SIGKILL)
            relays[turn % 2].wait()
            relays[turn % 2] = start()
    finally:
        for relay in relays:
            relay.kill()
            relay.wait()
        log.close()

    made = slots(users_database, "often")
    published = Counter(event.data.slot for event in events(users_database))
    assert set(published.values()) == {1}
    assert sorted(published) == made
    assert {later - earlier for earlier, later in pairwise(made)} == {timedelta(seconds=1)}
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line for line in lines if line.get("step") == "schedule"] == [], "no conflict is an error"


# Housekeeping


def test_old_slots_are_forgotten_but_the_newest_of_each_schedule(users_pool: Pool, users_database: str) -> None:
    statement = "INSERT INTO schedule_slots SELECT %s, at, gen_random_uuid(), at FROM (SELECT now() - %s AS at) AS at"
    for name, ages in {"a": (90, 60, 40, 3), "b": (90, 60)}.items():
        for age in ages:
            execute(users_database, statement, name, timedelta(days=age))
    begin(users_database, DAILY, 24 * 90)

    for _ in range(3):
        with users_pool.connection() as connection:
            connection.execute(schedules.FORGET, {"retention": timedelta(days=30), "limit": 2})

    days = "SELECT schedule, extract(day FROM now() - made_at)::int AS days FROM schedule_slots ORDER BY 1, 2"
    left = [(row["schedule"], row["days"]) for row in execute(users_database, days)]
    assert left == [("a", 3), ("b", 60), ("daily", 90)]
