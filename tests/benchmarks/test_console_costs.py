"""The benchmark of the console: every page that it measures answers, and a viewer reads as a browser does."""

from collections.abc import Iterator

import pytest
from tests.integration.live_api import LiveApi, live_api
from tests.patience import until

from benchmarks import failures, pages
from benchmarks.errors import BenchmarkError
from benchmarks.viewers import Viewer
from devstack.postgres import Postgres

OLD = """
WITH old AS (
    INSERT INTO events (id, type, subject, envelope, available_at)
    SELECT (lpad(to_hex(1700000000000 + number), 12, '0') || repeat('0', 20))::uuid, 'user_registered', 'old', '{}',
        now()
    FROM generate_series(1, 1000) AS number
    RETURNING id
)
INSERT INTO deliveries (event_id, subscription, state, finished_at) SELECT id, 'audit_log', 'succeeded', now() FROM old
"""

COUNT = "SELECT count(*) AS failed, count(DISTINCT last_error) AS errors FROM deliveries WHERE state = 'failed'"


@pytest.fixture(scope="module")
def running_api(postgres: Postgres) -> Iterator[LiveApi]:
    with live_api(postgres, "bench_console", console=True) as running:
        yield running


@pytest.fixture
def api(running_api: LiveApi) -> LiveApi:
    running_api.forget_everything()
    running_api.register()
    return running_api


def fill(api: LiveApi) -> str:
    """Write a history with failures of up to three errors; return the database's URL."""
    url = api.database.info.dsn
    api.execute(OLD)
    failures.fail(url)
    failures.name(url, 3)
    return url


def test_every_page_that_is_measured_answers(api: LiveApi) -> None:
    url = fill(api)
    [counted] = api.database.execute(COUNT).fetchall()

    measured = pages.measure(api.http.base_url.port or 0, url)

    assert counted["failed"] > 0
    assert 1 <= counted["errors"] <= 3
    assert {"Overview", "Failures", "GET /status", "GET /metrics"} <= measured.keys()
    assert all(figures["first"] > 0 and figures["median"] > 0 for figures in measured.values())


def test_a_page_that_fails_fails_the_benchmark(api: LiveApi) -> None:
    url = fill(api)
    api.execute("DELETE FROM users")

    with pytest.raises(BenchmarkError, match="GET /console/users/1: 404"):
        pages.measure(api.http.base_url.port or 0, url)


def test_a_viewer_reads_the_page_again_when_something_changes(api: LiveApi) -> None:
    viewer = Viewer(api.http.base_url.port or 0)
    until(lambda: viewer.read >= 2)  # the first counts
    before = viewer.read

    api.register(email="bob@example.com")

    until(lambda: viewer.read > before)
    viewer.leave()
