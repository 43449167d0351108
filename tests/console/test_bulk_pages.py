"""All that a filter finds is moved: counted first, confirmed, and watched while a relay works."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.conftest import user_registered
from tests.console.conftest import View
from tests.console.viewing import DESKTOP
from tests.integration.live_api import LiveApi

from devstack.postgres import Postgres
from messaging import publish
from messaging.publishing import bulk
from messaging.relay.listener import Listener
from messaging.relay.operate import Operator
from messaging.relay.relay import SETTINGS
from users_api import PUBLISHER

MANY = 500

FAIL = (
    "UPDATE deliveries SET state = 'failed', due_at = NULL, finished_at = now(), attempts = 1,"
    " last_error = 'MailRefused: 550 5.1.1 <u' || left(md5(event_id::text), 6) || '@example.com>: no such user'"
    " WHERE subscription = 'welcome_email'"
)

STATES = "SELECT state, count(*)::int FROM deliveries WHERE subscription = 'welcome_email' GROUP BY state"


@pytest.fixture
def failed(api: LiveApi) -> None:
    """Five hundred welcome emails that failed with as many different errors, of one kind."""
    api.database.execute(*publish([user_registered(index) for index in range(1, MANY + 1)]))
    api.execute(FAIL)


@pytest.fixture
def operator(api: LiveApi, postgres: Postgres) -> Iterator[Operator]:
    """The part of a relay that carries operations out, by hand, a hundred deliveries at a time."""
    url = postgres.url(api.database.info.dbname)
    with closing(Operator(Listener(url, SETTINGS, channel=bulk.CHANNEL), PUBLISHER, chunk=100)) as made:
        yield made


@pytest.mark.usefixtures("failed")
def test_a_group_of_500_is_retried_with_its_progress(api: LiveApi, view: View, operator: Operator) -> None:
    viewer = view(str(api.http.base_url), DESKTOP)
    page = viewer.open("/console/failures")
    assert page.inner_text("article").startswith("MailRefused: 550 5.1.1 <<address>>: no such user\n\n500 ")
    page.get_by_role("link", name="Retry the failed ones").click()
    assert "500 deliveries can be moved now" in page.inner_text("main")
    assert api.rows("SELECT FROM operations") == [], "to count is not to act"

    page.get_by_role("button", name="Retry 500").click()
    page.wait_for_url("**/console/operations/1")
    assert "0 of 500 moved" in page.inner_text("#operation")
    for done in (100, 200):
        operator.operate()
        page.get_by_text(f"{done} of 500 moved").wait_for()
        assert float(page.get_by_role("progressbar").get_attribute("value") or 0) == done / 5
    while operator.operate():
        pass
    page.locator("#operation .state", has_text="done").wait_for()

    assert "500 of 500 moved" in page.inner_text("#operation")
    page.locator("#live-switch").wait_for(state="hidden")
    assert viewer.violations() == []
    assert api.rows(STATES) == [{"state": "pending", "count": MANY}]


@pytest.mark.usefixtures("failed")
def test_an_operation_is_stopped_and_what_it_moved_stays_moved(api: LiveApi, view: View, operator: Operator) -> None:
    viewer = view(str(api.http.base_url), DESKTOP)
    page = viewer.open("/console/bulk?action=retry&subscription=welcome_email&state=failed")
    page.get_by_role("button", name="Retry 500").click()
    page.wait_for_url("**/console/operations/1")
    operator.operate()
    page.get_by_text("100 of 500 moved").wait_for()

    page.get_by_role("button", name="Stop it").click()
    page.locator("#operation .state", has_text="cancelled").wait_for()

    assert not operator.operate()
    assert "100 of 500 moved" in page.inner_text("#operation")


@pytest.mark.usefixtures("failed")
def test_a_search_leads_from_page_to_page_and_back(api: LiveApi, view: View) -> None:
    viewer = view(str(api.http.base_url), DESKTOP)
    page = viewer.open("/console/deliveries")
    page.get_by_label("Error contains").fill("no such")
    page.get_by_label("failed").check()
    page.get_by_role("button", name="Search").click()

    assert "error=no+such" in page.url
    assert "state=failed" in page.url
    seen: list[str] = []
    for number in range(10):
        rows = page.locator("tbody tr td:nth-child(3)").all_inner_texts()
        assert len(rows) == 50
        seen += rows
        if number < 9:
            page.get_by_role("link", name="Older").click()
    assert len(set(seen)) == len(seen) == MANY, "each once"
    assert page.get_by_role("link", name="Older").count() == 0

    page.get_by_role("link", name="Newest").click()
    assert page.locator("tbody tr td:nth-child(3)").first.inner_text() == seen[0]
    page.get_by_role("link", name="Remove state").click()
    assert "state=" not in page.url
    assert "error=no+such" in page.url


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_does_not_have_breaks_no_page(api: LiveApi, time: str) -> None:
    wanted = {"action": "retry", "filter": {"since": time, "until": time}, "dry_run": False}

    operation = api.http.post("/deliveries/bulk", json=wanted).json()["operation"]

    assert operation["filter"]["since"][:4] == time[:4]
    assert operation["filter"]["since"].endswith("Z")
    pages = (f"operations/{operation['id']}", "operations", "deliveries", "bulk", "failures")
    query = {"since": time, "until": time, "finished_since": time, "finished_until": time, "action": "retry"}
    answers = [api.http.get(f"/console/{page}", params=query) for page in pages[2:]]
    answers += [api.http.get(f"/console/{page}") for page in pages[:2]]
    assert {answer.status_code for answer in answers} <= {200, 422}
    assert [answer.status_code for answer in answers[-2:]] == [200, 200]
