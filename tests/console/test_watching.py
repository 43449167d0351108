"""People who watch a running Herald in a browser: real processes, and pages that change by themselves."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.console.an_hour import make_up
from tests.console.conftest import View
from tests.console.viewing import LOOKS, PHONE, Viewer
from tests.patience import PATIENCE

from chaos.system import System

TOKEN = "a token of an operator"


def register(page: Page, name: str) -> None:
    """Fill in the form, as a person does."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Register").click()
    page.get_by_label("Email address").fill(f"{name.lower()}@example.com")
    page.get_by_label("Full name").fill(f"{name} Chen")
    page.get_by_role("button", name="Register").click()


def state_of(page: Page, effect: str) -> str:
    return page.get_by_role("row").filter(has_text=effect).locator(".state").inner_text()


def succeeded(page: Page, effect: str) -> None:
    """Wait until an effect is shown as succeeded, without touching the page."""
    row = page.get_by_role("row").filter(has_text=effect)
    expect(row.locator(".state")).to_have_text("succeeded")


@pytest.fixture
def url(system: System) -> str:
    return system.herald.local_url


def test_register_and_watch_it_succeed(system: System, url: str, view: View) -> None:
    system.sink.release.clear()
    viewer: Viewer = view(url)
    page = viewer.open()
    expect(page.locator("#live-state")).to_have_text("Live")

    register(page, "Maya")
    succeeded(page, "audit_log")
    assert state_of(page, "welcome_email") in {"pending", "queued", "running"}
    system.sink.release.set()
    succeeded(page, "welcome_email")

    assert viewer.violations() == []


def test_two_viewers_see_the_same_change(system: System, url: str, view: View) -> None:
    viewers = [view(url), view(url, PHONE, dark=True)]
    cells = []
    for viewer in viewers:
        page = viewer.open()
        expect(page.locator("#live-state")).to_have_text("Live")
        cells.append(page.get_by_role("row").filter(has_text="welcome_email").locator('td[data-label="Succeeded"]'))

    system.register("maya")

    for cell in cells:
        expect(cell).to_contain_text("1 succeeded of welcome_email")


def test_a_paused_page_stands_still_until_it_is_resumed(system: System, url: str, view: View) -> None:
    viewer: Viewer = view(url)
    page = viewer.open()
    requests: list[str] = []
    expect(page.locator("#live-state")).to_have_text("Live")

    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-state")).to_contain_text("Paused at")
    page.on("request", lambda request: requests.append(request.url))
    user = system.register("maya")
    system.until(lambda: {each["state"] for each in system.deliveries(user["id"]).values()} == {"succeeded"})
    page.wait_for_timeout(3_000)  # longer than the poller takes to report it
    assert requests == []

    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#live-state")).to_have_text("Live")
    cell = page.get_by_role("row").filter(has_text="welcome_email").locator('td[data-label="Succeeded"]')
    expect(cell).to_contain_text("1 succeeded of welcome_email")


def test_a_list_counts_what_changes_and_shows_it_on_demand(system: System, url: str, view: View) -> None:
    system.register("ada")
    system.until(lambda: system.unfinished() == 0)
    lists = {}
    for path in (
        "/console/deliveries?state=succeeded&subscription=audit_log",
        "/console/deliveries",
        "/console/failures",
    ):
        lists[path] = view(url).open(path)
        expect(lists[path].locator("#live-state")).to_have_text("Live")
    audited, everything, failures = lists.values()

    system.register("maya")

    expect(audited.locator("#changes")).to_have_text("1 has changed: show it")
    expect(everything.locator("#changes")).to_have_text("2 have changed: show them")
    assert everything.get_by_role("row").filter(has_text="audit_log").count() == 1
    expect(failures.locator("#changes")).to_be_hidden()
    everything.locator("#changes").click()
    expect(everything.get_by_role("row").filter(has_text="audit_log")).to_have_count(2)
    expect(everything.locator("#changes")).to_be_hidden()
    assert everything.url == f"{url}/console/deliveries"


def test_a_page_says_that_it_is_old_while_the_api_is_away(system: System, url: str, view: View) -> None:
    viewer: Viewer = view(url)
    viewer.expect("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "[object Event]", "htmx:")
    page = viewer.open()
    expect(page.locator("#live-state")).to_have_text("Live")

    system.processes["users-api"].stop(timeout=PATIENCE)
    expect(page.locator("#live-state")).to_have_text("Connecting …")
    system.processes["users-api"].start()

    expect(page.locator("#live-state")).to_have_text("Live")
    expect(page.locator("#notice")).to_be_hidden()


def test_with_a_token_people_log_in(start_system: Callable[..., System], view: View) -> None:
    system = start_system(CONSOLE_TOKEN=TOKEN)
    viewer: Viewer = view(system.herald.local_url)
    viewer.expect("403")
    page = viewer.open("/console/schedules")

    page.get_by_label("Token").fill("not the token, sorry")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("the token")
    assert viewer.violations() == []
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_role("heading", name="Schedules")).to_be_visible()
    expect(page.get_by_label("What you do is recorded as")).to_have_value("ada")


def test_without_scripts_everything_but_live_updates_works(system: System, url: str, view: View) -> None:
    viewer: Viewer = view(url, scripts=False)
    page = viewer.open()

    register(page, "Maya")
    system.until(lambda: {each["state"] for each in system.deliveries(1).values()} == {"succeeded"})
    page.reload()

    assert state_of(page, "welcome_email") == "succeeded"


def test_a_schedule_is_run_by_hand(start_system: Callable[..., System], view: View) -> None:
    system = start_system(REPORT_TO="operators@example.com")
    for look, (size, dark) in LOOKS.items():
        looking = view(system.herald.local_url, size, dark=dark)
        looking.open("/console/schedules")
        looking.is_readable(look)
        if look != "phone-dark":
            looking.picture(f"schedules-{look}")
    viewer: Viewer = view(system.herald.local_url)
    page = viewer.open("/console/schedules")

    page.get_by_role("button", name="Run now").click()
    viewer.expect("404")

    made = "SELECT subject FROM events WHERE type = 'report_due'"
    assert ("schedules/daily_report",) in system.query("users", made)
    recorded = "SELECT action, schedule, requested_by, moved, filter ->> 'event' FROM operations"
    event = page.url.rpartition("/")[2]
    assert system.query("users", recorded) == [("run", "daily_report", "console", 1, event)]
    page = viewer.open("/console/operations")
    assert "run daily_report" in " ".join(page.inner_text("tbody").split())
    page.locator("tbody a").first.click()
    assert "Operation 1: run daily_report" in page.inner_text("h1")
    assert "1 of 1 made" in page.inner_text("#operation")


@pytest.mark.parametrize("look", LOOKS)
def test_the_overview_of_a_busy_herald(system: System, url: str, view: View, look: str) -> None:
    for index in range(12):
        system.register(f"user{index}")
    system.until(lambda: system.states()["succeeded"] == 24)
    make_up(system)
    size, dark = LOOKS[look]
    viewer: Viewer = view(url, size, dark=dark)
    page = viewer.open()

    expect(page.get_by_role("img", name="Throughput").first).to_be_visible()
    expect(page.get_by_text("All is well:")).to_be_visible()
    viewer.is_readable()
    assert viewer.ragged() == 0
    viewer.picture(f"overview-{look}")


def test_the_overview_of_a_herald_in_trouble(start_system: Callable[..., System], view: View) -> None:
    system = start_system(NOTIFIER_UNCERTAIN="hold", MAIL_TIMEOUT="2")
    make_up(system)
    system.sink.answer = lambda address: {"maya": "550 no such user", "ada": None}.get(address[:-12], "451 try again")
    for name in ("maya", "ada", "joan"):
        system.register(name)
    system.until(lambda: system.states() == {"succeeded": 3, "failed": 1, "uncertain": 1, "retrying": 1})
    system.processes["auditor"].kill()
    system.register("grace")
    viewer: Viewer = view(system.herald.local_url)
    page = viewer.open()

    expect(page.get_by_text("welcome_email: 1 failed.")).to_be_visible()
    expect(page.get_by_text("welcome_email: 1 uncertain.")).to_be_visible()
    expect(page.get_by_text("No worker reads the queue auditor.")).to_be_visible()
    assert viewer.violations() == []
    viewer.picture("overview-trouble")
    page.get_by_role("link", name="1 failed of welcome_email").click()
    assert page.url.endswith("/console/deliveries?subscription=welcome_email&state=failed")
