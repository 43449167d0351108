"""GET /status: what is there of each effect, the last hour, who is at work, the servers; and honest bounds."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from contracts import SUBSCRIPTIONS
from messaging.process.database import Pool, open_pool
from messaging.publishing.counts import BOUNDS
from messaging.relay.backlog import BacklogCounter
from users_api.app import create_app
from users_api.status import backlog
from users_api.status.throughput import quantile

from .api_process import NOWHERE
from .live_api import LiveApi, is_problem, metrics, running

MAKE = """
WITH event AS (
    INSERT INTO events (id, type, subject, envelope, available_at)
    SELECT gen_random_uuid(), 'user_registered', 'users/1', '{}', now() FROM generate_series(1, %(number)s)
    RETURNING id
)
INSERT INTO deliveries
    (event_id, subscription, state, due_at, lease_until, queued_at, started_at, finished_at, last_error)
SELECT id, %(subscription)s, %(state)s, CASE WHEN %(state)s IN ('pending', 'retrying') THEN since END,
    CASE WHEN %(state)s IN ('queued', 'running') THEN now() END, since, since,
    CASE WHEN %(state)s IN ('succeeded', 'failed', 'uncertain', 'cancelled') THEN since END, %(error)s
FROM event, (SELECT now() - make_interval(secs => %(age)s) AS since) AS moment
"""

COUNT = """
INSERT INTO delivery_counts VALUES (date_trunc('minute', now()) - make_interval(mins => %(minutes)s), 'audit_log',
    %(counter)s, %(state)s, %(bucket)s, %(number)s, %(lag)s)
"""

ATTEMPT = """
INSERT INTO attempts (event_id, subscription, place, ordinal, generation, number, started_at, ended_at, outcome)
SELECT event_id, subscription, %s::int, %s, 0, 1, started_at, now() - make_interval(secs => %s), 'retry'
FROM deliveries WHERE subscription = 'audit_log'
"""


def make(api: LiveApi, subscription: str, state: str, number: int = 1, **more: object) -> None:
    """Make deliveries in a state, since `age` seconds, with an `error`."""
    values = {"age": 0, "error": None, **more}
    api.database.execute(MAKE, {"subscription": subscription, "state": state, "number": number, **values})


def count(api: LiveApi, minutes_ago: int, number: int, state: str, **more: Any) -> None:
    """Count moves of audit_log, each with the lag of its bucket's bound."""
    values = {"counter": "a", "bucket": 0, **more}
    lag = number * BOUNDS[values["bucket"] - 1] if values["bucket"] else 0
    api.database.execute(COUNT, {"minutes": minutes_ago, "number": number, "state": state, "lag": lag, **values})


@pytest.fixture
def api_pool(api: LiveApi) -> Iterator[Pool]:
    """A relay's access to the database of the API."""
    with open_pool(api.database.info.dsn, size=1, name="test") as pool:
        yield pool


def status(api: LiveApi) -> dict[str, Any]:
    answer = api.http.get("/status")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def of(api: LiveApi, subscription: str = "audit_log") -> dict[str, Any]:
    [found] = [each for each in status(api)["subscriptions"] if each["name"] == subscription]
    assert isinstance(found, dict)
    return found


def test_every_declared_subscription_is_shown_even_without_deliveries(api: LiveApi) -> None:
    shown = status(api)["subscriptions"]

    assert [(each["name"], each["service"]) for each in shown] == [(each.name, each.service) for each in SUBSCRIPTIONS]
    for each in shown:
        assert each["states"] == {state: {"count": 0, "exact": True} for state in backlog.COUNTED}
        assert (each["overdue_seconds"], each["last_error"], each["minutes"]) == (0, None, [])
        assert each["declared"]


def test_each_state_is_counted(api: LiveApi) -> None:
    for number, state in enumerate((*backlog.COUNTED, "succeeded", "cancelled"), 1):
        make(api, "audit_log", state, number)
        make(api, "welcome_email", state)

    shown = {state: value["count"] for state, value in of(api)["states"].items()}
    assert shown == {state: number for number, state in enumerate(backlog.COUNTED, 1)}


def test_a_subscription_that_no_longer_exists_is_shown_as_such(api: LiveApi) -> None:
    make(api, "renamed", "pending")

    assert of(api, "renamed")["declared"] is False
    assert of(api, "renamed")["states"]["pending"]["count"] == 1


@pytest.mark.parametrize(
    ("state", "overdue"), [("pending", 100), ("retrying", 100), ("queued", 100), ("running", 0), ("failed", 0)]
)
def test_overdue_is_how_late_the_oldest_is(api: LiveApi, state: str, overdue: float) -> None:
    make(api, "audit_log", state, 3)
    make(api, "audit_log", state, 1, age=100)

    assert of(api)["overdue_seconds"] == pytest.approx(overdue, abs=5)


def test_the_oldest_is_as_old_as_the_time_since_it_was_first_due(api: LiveApi) -> None:
    make(api, "audit_log", "retrying", age=-20)
    make(api, "audit_log", "queued", age=5)
    api.database.execute("UPDATE deliveries SET first_due_at = now() - interval '90 s' WHERE state = 'retrying'", {})

    assert of(api)["oldest_seconds"] == pytest.approx(90, abs=5)
    assert of(api)["overdue_seconds"] == pytest.approx(5, abs=5)
    assert of(api, "welcome_email")["oldest_seconds"] == 0


def test_a_delivery_that_an_operator_retries_is_as_young_as_that(api: LiveApi) -> None:
    make(api, "audit_log", "failed", age=3600)
    api.database.execute("UPDATE deliveries SET first_due_at = now() - interval '1 h'", {})
    assert of(api)["oldest_seconds"] == 0

    [delivery] = api.http.get("/deliveries").json()["deliveries"]
    assert api.http.post(f"/deliveries/{delivery['event_id']}/audit_log/retry").status_code == 202
    assert of(api)["oldest_seconds"] == pytest.approx(0, abs=5)


def test_what_is_due_in_the_future_is_not_overdue(api: LiveApi) -> None:
    make(api, "audit_log", "pending", age=-1000)

    assert of(api)["overdue_seconds"] == 0
    assert of(api)["states"]["pending"]["count"] == 1


def test_what_runs_for_longer_than_its_time_limit_is_overdue(api: LiveApi) -> None:
    make(api, "audit_log", "running", age=backlog.TIME_LIMIT + 50)

    assert of(api)["overdue_seconds"] == pytest.approx(50, abs=5)


STATES = pytest.mark.parametrize("states", backlog.KINDS)


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> int:
    """The most deliveries of a kind that a page counts."""
    monkeypatch.setattr(backlog.backlogs, "__defaults__", (10,))
    return 10


@STATES
def test_a_count_that_is_a_lower_bound_says_so(api: LiveApi, states: tuple[str, str], bounded: int) -> None:
    make(api, "welcome_email", states[0], 8, age=100)
    assert of(api)["states"][states[0]]["exact"]
    make(api, "audit_log", states[1], 3)

    page = status(api)

    shown = {each["name"]: each["states"] for each in page["subscriptions"]}
    assert {state for state, value in shown["webhook"].items() if not value["exact"]} == set(states)
    assert sum(each[state]["count"] for each in shown.values() for state in states) == bounded
    assert page["counted_at"] is None


@STATES
def test_what_a_page_cannot_count_a_relay_has_counted(
    api: LiveApi, states: tuple[str, str], bounded: int, api_pool: Pool
) -> None:
    make(api, "welcome_email", states[0], 3 * bounded, age=100)
    make(api, "audit_log", states[1], 3, age=40)
    make(api, "renamed", states[1], 1)
    BacklogCounter(api_pool, SUBSCRIPTIONS).count()
    make(api, "welcome_email", states[0], bounded, age=200)

    page = status(api)

    shown = {each["name"]: each for each in page["subscriptions"]}
    assert shown["welcome_email"]["states"][states[0]] == {"count": 3 * bounded, "exact": False}
    assert shown["audit_log"]["states"][states[1]] == {"count": 3, "exact": False}
    assert shown["renamed"]["states"][states[1]] == {"count": 1, "exact": False}
    assert page["counted_at"] is not None
    if "pending" in states:
        assert shown["welcome_email"]["overdue_seconds"] == pytest.approx(200, abs=10)
        assert shown["audit_log"]["overdue_seconds"] == pytest.approx(40, abs=10)


def test_metrics_count_no_further_than_the_status(api: LiveApi, bounded: int, api_pool: Pool) -> None:
    make(api, "audit_log", "pending", 3 * bounded, age=100)
    name = 'herald_deliveries{state="pending",subscription="audit_log"}'
    assert f"{name} {bounded}.0" in metrics(api)

    BacklogCounter(api_pool, SUBSCRIPTIONS).count()

    assert f"{name} {3 * bounded}.0" in metrics(api)


def test_what_a_page_can_count_is_not_what_a_relay_has_counted(api: LiveApi, api_pool: Pool) -> None:
    make(api, "audit_log", "pending", 5)
    BacklogCounter(api_pool, SUBSCRIPTIONS).count()
    api.execute("DELETE FROM deliveries")
    make(api, "audit_log", "pending", 2)

    assert of(api)["states"]["pending"] == {"count": 2, "exact": True}


def test_the_last_error_is_the_newest_of_any_state(api: LiveApi) -> None:
    make(api, "audit_log", "failed", age=50, error="older")
    make(api, "audit_log", "uncertain", age=20, error="newest")
    make(api, "audit_log", "retrying", age=30, error="old")
    make(api, "audit_log", "succeeded", age=1)
    make(api, "welcome_email", "retrying", age=1, error="another's")

    error = of(api)["last_error"]

    assert (error["text"], error["state"]) == ("newest", "uncertain")


@pytest.mark.parametrize("state", ["queued", "running"])
def test_the_last_error_is_seen_while_the_next_attempt_is_on_its_way(api: LiveApi, state: str) -> None:
    make(api, "audit_log", "failed", age=50, error="older")
    make(api, "audit_log", state, age=20, error="newest")
    make(api, "audit_log", state, age=1)

    error = of(api)["last_error"]

    assert (error["text"], error["state"]) == ("newest", state)


@pytest.mark.parametrize("state", ["retrying", "queued", "running", "failed"])
def test_an_error_is_as_old_as_the_end_of_its_attempt(api: LiveApi, state: str) -> None:
    make(api, "audit_log", state, age=40, error="timed out")
    make(api, "welcome_email", state, age=40, error="by a relay of an older version")
    for place, ago in enumerate((90, 30)):
        api.execute(ATTEMPT, place, place + 1, ago)

    ages = "SELECT extract(epoch FROM now() - %s::timestamptz)::float8 AS age"
    [ended], [unknown] = (api.rows(ages, of(api, name)["last_error"]["at"]) for name in ("audit_log", "welcome_email"))

    assert (ended["age"], unknown["age"]) == (pytest.approx(30, abs=5), pytest.approx(40, abs=5))


def test_a_relay_is_behind_for_as_long_as_what_is_due_is_not_queued(api: LiveApi) -> None:
    make(api, "audit_log", "queued", age=300)
    make(api, "audit_log", "pending", age=-1000)
    make(api, "renamed", "pending", age=200)
    assert status(api)["unqueued_seconds"] == 0, "in its queue, not due yet, or of no relay"

    make(api, "audit_log", "pending", age=10)
    make(api, "welcome_email", "retrying", age=30)

    assert status(api)["unqueued_seconds"] == pytest.approx(30, abs=5)


def test_what_has_been_running_for_longest_is_shown(api: LiveApi) -> None:
    for age in (5, 80, 10, 40):
        make(api, "audit_log", "running", age=age)
    make(api, "audit_log", "queued", age=300)
    make(api, "audit_log", "failed", age=400)
    make(api, "renamed", "running", age=7)

    shown = {each["name"]: each["longest_running"] for each in status(api)["subscriptions"]}

    began = "SELECT event_id::text FROM deliveries WHERE state = 'running' AND subscription = %s ORDER BY started_at"
    expected = [row["event_id"] for row in api.rows(began, "audit_log")]
    assert [each["event_id"] for each in shown["audit_log"]] == expected[:3]
    assert len(expected) == 4
    assert [each["event_id"] for each in shown["renamed"]] == [row["event_id"] for row in api.rows(began, "renamed")]
    assert shown["welcome_email"] == []


def test_the_last_hour_is_shown_by_minute_and_summed_over_all_relays(api: LiveApi) -> None:
    count(api, 60, 1000, "succeeded", bucket=1)
    count(api, 59, 10, "succeeded", bucket=1)
    count(api, 2, 4, "succeeded", bucket=3, counter="a")
    count(api, 2, 5, "succeeded", bucket=3, counter="b")
    count(api, 2, 7, "retrying", bucket=0)
    count(api, 1, 2, "failed", bucket=0)
    count(api, 0, 1, "uncertain", bucket=0)

    shown = of(api)

    assert [(each["succeeded"], each["retried"], each["failed"], each["uncertain"]) for each in shown["minutes"]] == [
        (10, 0, 0, 0),
        (9, 7, 0, 0),
        (0, 0, 2, 0),
        (0, 0, 0, 1),
    ]
    assert [each["lag_median"] for each in shown["minutes"]] == [0.01, 0.05, None, None]
    hour = shown["hour"]
    assert (hour["succeeded"], hour["retried"], hour["failed"], hour["uncertain"]) == (19, 7, 2, 1)
    assert hour["lag_mean"] == pytest.approx((10 * 0.01 + 9 * 0.05) / 19)
    assert (hour["lag_median"], hour["lag_p95"]) == (0.01, 0.05)
    assert shown["last_succeeded_at"] == shown["minutes"][1]["minute"]


def test_what_has_no_lag_counts_for_none(api: LiveApi) -> None:
    count(api, 0, 100, "succeeded", bucket=0)
    count(api, 0, 1, "succeeded", bucket=5)

    hour = of(api)["hour"]

    assert (hour["succeeded"], hour["lag_mean"], hour["lag_median"]) == (101, pytest.approx(0.2), 0.2)


@pytest.mark.parametrize(
    ("buckets", "share", "bound"),
    [
        ({}, 0.5, None),
        ({1: 1}, 0.5, 0.01),
        ({1: 1, 2: 1}, 0.5, 0.01),
        ({1: 1, 2: 2}, 0.5, 0.02),
        ({1: 95, 15: 5}, 0.95, 0.01),
        ({1: 94, 15: 6}, 0.95, 7200),
        ({1: 94, 16: 6}, 0.95, None),
    ],
)
def test_a_quantile_is_the_upper_bound_of_its_bucket(
    buckets: dict[int, int], share: float, bound: float | None
) -> None:
    assert quantile(Counter(buckets), share) == bound


def test_postgresql_is_shown(api: LiveApi) -> None:
    shown = status(api)["postgresql"]

    [row] = api.rows("SELECT current_setting('server_version') AS version, current_setting('max_connections') AS most")
    assert (shown["version"], shown["max_connections"]) == (row["version"], int(row["most"]))
    assert 1 < shown["connections"] < shown["max_connections"]
    assert shown["database_bytes"] > 1_000_000


def test_without_postgresql_it_is_a_503() -> None:
    with running(create_app(NOWHERE)) as http:
        assert is_problem(http.get("/status"), 503)
