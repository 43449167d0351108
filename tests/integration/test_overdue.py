"""`herald_delivery_overdue_seconds`: for how long the oldest delivery has been late, whatever keeps it."""

import re

import pytest
from psycopg.rows import dict_row

from devstack.postgres import Postgres
from users_api.status.backlog import _BACKLOG

from .live_api import LiveApi

LEASED = "due_at = NULL, lease_until = now() + interval '1 min'"
QUEUED, RUNNING = f"{LEASED}, state = 'queued'", f"{LEASED}, state = 'running'"


def overdue(api: LiveApi) -> float:
    """Return the metric of `audit_log`; nothing else is late."""
    found = re.findall(r'^herald_delivery_overdue_seconds{subscription="(.+)"} (.+)$', metrics(api), re.MULTILINE)
    seconds = {name: float(value) for name, value in found}
    assert seconds.keys() >= {"audit_log", "welcome_email"}
    assert seconds["welcome_email"] < 60
    return seconds["audit_log"]


def metrics(api: LiveApi) -> str:
    return api.http.get("/metrics").text


def change(api: LiveApi, values: str) -> None:
    api.execute(f"UPDATE deliveries SET {values} WHERE subscription = 'audit_log'")


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ("due_at = now() - interval '1 hour'", 3600),
        ("state = 'retrying', due_at = now() - interval '1 hour'", 3600),
        (f"{QUEUED}, queued_at = now() - interval '1 hour'", 3600),  # its consumer is dead
        (f"{QUEUED}, queued_at = now()", 0),
        (f"{RUNNING}, queued_at = now() - interval '1 hour', started_at = now()", 0),
        (f"{RUNNING}, queued_at = now(), started_at = now() - interval '5 min'", 0),  # it may take long
        (f"{RUNNING}, queued_at = now(), started_at = now() - interval '1 hour'", 3000),  # or hangs
        ("state = 'retrying', due_at = now() + interval '1 hour'", 0),
        ("state = 'failed', due_at = NULL, finished_at = now() - interval '1 hour'", 0),
        ("state = 'succeeded', due_at = NULL, finished_at = now() - interval '1 hour'", 0),
    ],
)
def test_what_waits_for_a_consumer_is_overdue_like_what_waits_for_the_relay(
    api: LiveApi, values: str, seconds: int
) -> None:
    api.register()
    change(api, values)
    api.execute("UPDATE deliveries SET due_at = now() WHERE subscription = 'welcome_email'")

    assert seconds <= overdue(api) < seconds + 60


def test_one_state_does_not_hide_another(api: LiveApi) -> None:
    api.register()
    api.register(email="bob@example.com")
    api.execute("UPDATE deliveries SET due_at = now() + interval '1 day' WHERE subscription = 'welcome_email'")
    change(api, f"{QUEUED}, queued_at = now() - interval '1 hour'")

    assert 3600 <= overdue(api) < 3660


def test_finished_deliveries_cost_the_metrics_nothing(api: LiveApi, postgres: Postgres) -> None:
    api.register()
    api.execute(
        "INSERT INTO events (id, type, subject, envelope, available_at)"
        " SELECT gen_random_uuid(), 'user_registered', 'old/' || n, '{}', now() FROM generate_series(1, 5000) AS n"
    )
    api.execute(
        "INSERT INTO deliveries (event_id, subscription, state, finished_at)"
        " SELECT id, 'old', 'succeeded', now() FROM events WHERE subject LIKE 'old/%%'"
    )
    cursor = api.database.cursor(row_factory=dict_row)
    cursor.execute("SET enable_seqscan = off")  # as each of the API's connections
    plan = cursor.execute(
        f"EXPLAIN (ANALYZE, BUFFERS OFF) {_BACKLOG}", {"time_limit": 600.0, "bound": 10_000}
    ).fetchall()
    cursor.execute("RESET enable_seqscan")

    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Seq Scan" not in text
    assert {"deliveries_due", "deliveries_leased", "deliveries_dead"} <= set(text.replace(",", " ").split())


@pytest.mark.parametrize("state", ["pending", "retrying", "queued", "running"])
def test_unfinished_deliveries_of_a_subscription_that_is_gone_are_counted_until_they_are_finished(
    api: LiveApi, state: str
) -> None:
    name = "herald_deliveries_of_unknown_subscriptions"
    api.register()
    assert f"{name} 0.0" in metrics(api)
    leased = "lease_until = now(), due_at = NULL, queued_at = now(), started_at = now()"
    api.execute(
        f"UPDATE deliveries SET subscription = 'renamed', state = '{state}'"
        f"{f', {leased}' if state in ('queued', 'running') else ''} WHERE subscription = 'audit_log'"
    )
    assert f"{name} 1.0" in metrics(api)

    api.execute(
        "UPDATE deliveries SET state = 'failed', due_at = NULL, lease_until = NULL, finished_at = now()"
        " WHERE subscription = 'renamed'"
    )
    assert f"{name} 0.0" in metrics(api)
    assert 'herald_delivery_overdue_seconds{subscription="renamed"} 0.0' in metrics(api)
