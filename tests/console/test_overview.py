"""What the overview says, and leads to."""

import re
from collections.abc import Iterator

import httpx
import pytest
import redis
from tests.console.texts import show
from tests.integration.live_api import LiveApi, live_api, running
from tests.patience import PATIENCE

from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from messaging.relay.presence import Presence
from users_api import PUBLISHER
from users_api.app import create_app
from users_api.console.findings import findings
from users_api.console.mounting import mount_console
from users_api.herald.doctor import lateness
from users_api.status.schemas import Status

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)> {{ 7 * 7 }} \u202e'


def test_an_effect_that_is_off_is_shown_as_such(api: LiveApi) -> None:
    page = api.http.get("/console").text

    assert re.search(r">webhook</a> <span[^>]*>notifier, off<", page)
    assert re.search(r">welcome_email</a> <span[^>]*>notifier<", page)


def test_without_data_it_says_so_and_what_to_do(api: LiveApi) -> None:
    page = api.http.get("/console").text

    assert "Nothing was delivered in the last hour" in page
    assert "REDIS_URL isn&#39;t set for users-api" in page


def test_it_says_what_failed_and_where_to_look(api: LiveApi) -> None:
    api.register()
    api.execute(
        "UPDATE deliveries SET state = 'failed', finished_at = now(), due_at = NULL, last_error = %s"
        " WHERE subscription = 'welcome_email'",
        HOSTILE,
    )
    page = api.http.get("/console").text

    assert "welcome_email: 1 failed." in page
    assert "/console/deliveries?subscription=welcome_email&amp;state=failed" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_what_is_tried_again_is_named_while_all_else_is_well(with_redis: LiveApi) -> None:
    with_redis.register()
    with_redis.execute("UPDATE deliveries SET state = 'retrying' WHERE subscription = 'welcome_email'")
    page = with_redis.http.get("/console").text

    assert "welcome_email: 1 retrying. Each is tried again when it is due." in page
    assert "/console/deliveries?subscription=welcome_email&amp;state=retrying" in page


UNDER_WAY = """UPDATE deliveries SET state = %s, due_at = NULL, lease_until = now() + interval '1 h', queued_at = now(),
    started_at = now() WHERE subscription = 'welcome_email'"""

DONE = """UPDATE deliveries SET state = %s, due_at = NULL, finished_at = now() WHERE subscription = 'welcome_email'"""

RETRIED = """INSERT INTO delivery_counts VALUES
    (date_trunc('minute', now()) - make_interval(mins => %s), 'welcome_email', 'x', 'retrying', 0, %s, 0)"""


@pytest.mark.parametrize(
    ("state", "minutes_ago", "attempts", "said"),
    [
        ("running", 0, 6, "6 attempts failed in the last 3 minutes, and are tried again"),
        ("queued", 1, 1, "1 attempt failed in the last 3 minutes, and is tried again"),
        ("running", 3, 6, ""),
        ("succeeded", 0, 6, ""),
    ],
)
def test_all_is_not_well_while_what_has_failed_runs_again(
    api: LiveApi, state: str, minutes_ago: int, attempts: int, said: str
) -> None:
    api.register()
    api.execute(UNDER_WAY if state != "succeeded" else DONE, state)
    api.execute(RETRIED, minutes_ago, attempts)
    shown = Status.model_validate(api.http.get("/status").json())

    about = [each for each in findings(shown) if each.text.startswith("welcome_email")]

    assert [(each.level, each.text) for each in about] == ([("info", f"welcome_email: {said}.")] if said else [])
    doctor = [finding.found for finding in lateness.check(shown) if finding.check == "welcome_email"]
    assert doctor == ([said] if said else [])
    if about:
        assert about[0].link is not None
        assert "1 delivery" in show(api, about[0].link.removeprefix("/console"))


def test_what_is_late_is_named(api: LiveApi) -> None:
    api.register()
    api.execute("UPDATE deliveries SET due_at = now() - interval '5 minutes' WHERE subscription = 'audit_log'")

    assert "audit_log: the oldest delivery is 5 min late." in api.http.get("/console").text.replace(
        " 0 s late", " late"
    )


def test_a_subscription_that_was_removed_is_named(api: LiveApi) -> None:
    api.register()
    api.execute("UPDATE deliveries SET subscription = 'removed' WHERE subscription = 'audit_log'")

    assert "removed has deliveries, and isn&#39;t declared any more" in api.http.get("/console").text


def test_while_postgresql_is_away_it_says_so(redis_server: RedisServer) -> None:
    app = create_app(NOWHERE, redis_url=redis_server.url)
    mount_console(app)
    with running(app) as http:
        page = http.get("/console", timeout=PATIENCE)
        part = http.get("/console/overview", headers={"HX-Request": "true"}, timeout=PATIENCE)

    assert (page.status_code, part.status_code) == (503, 503)
    assert "PostgreSQL doesn&#39;t answer" in page.text
    assert "Relays and workers" in page.text
    assert "<html" not in part.text


@pytest.fixture(scope="module")
def with_redis(postgres: Postgres, redis_server: RedisServer) -> Iterator[LiveApi]:
    with live_api(postgres, "console_redis", redis_server.url, console=True) as running:
        yield running


@pytest.fixture(scope="module")
def without_redis(postgres: Postgres) -> Iterator[LiveApi]:
    with live_api(postgres, "console_no_redis", "redis://127.0.0.1:1/0", console=True) as running:
        yield running


def test_it_says_who_is_not_at_work(with_redis: LiveApi, redis_client: object) -> None:
    page = with_redis.http.get("/console").text

    assert "No relay runs." in page
    assert "No worker reads the queue notifier. Start: dramatiq notifier.worker" in page


def test_a_relay_of_another_publisher_moves_none_of_our_deliveries(
    with_redis: LiveApi, redis_client: redis.Redis
) -> None:
    other, ours = (Presence(redis_client, publisher, "host.1") for publisher in ("auditor", PUBLISHER))
    other.fails("out of paper")
    other.beat()
    page = show(with_redis, "")
    assert "No relay runs." in page
    assert "The relay host.1 can't" not in page, "it is another service's to mend"

    ours.beat()

    assert "No relay runs." not in show(with_redis, "")


@pytest.mark.parametrize(("used", "is_said"), [(89, False), (90, True)])
def test_when_connections_run_out_it_says_so(api: LiveApi, used: int, is_said: bool) -> None:
    shown = Status.model_validate(api.http.get("/status").json())
    shown.postgresql.connections, shown.postgresql.max_connections = used, 100

    said = [finding.text for finding in findings(shown)]

    assert (f"PostgreSQL has {used} of at most 100 connections." in said) is is_said


def test_it_says_whether_the_relay_keeps_up(with_redis: LiveApi) -> None:
    with_redis.register()
    due = "UPDATE deliveries SET due_at = now() + %s * interval '1 second' WHERE subscription = 'audit_log'"
    with_redis.execute("UPDATE deliveries SET due_at = now() + interval '1 hour'")
    assert "Nothing that is due waits for a relay." in show(with_redis, "")

    with_redis.execute(due, -80)

    assert "Behind: a delivery has been due for 1 min, and isn" in show(with_redis, "")


def test_while_redis_is_away_it_says_so(without_redis: LiveApi) -> None:
    answer = without_redis.http.get("/console")

    assert answer.status_code == 200
    assert "Redis is unreachable" in answer.text
    assert "their effects follow when Redis is back" in answer.text


def test_a_path_that_does_not_exist_is_a_page_that_says_so(api: LiveApi) -> None:
    answer: httpx.Response = api.http.get("/console/nothing")

    assert answer.status_code == 404
    assert "There is no such page." in answer.text
