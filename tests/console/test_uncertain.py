"""Real processes and a real browser: mails that may or may not have been sent, and what a person decides."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.console.conftest import View
from tests.console.viewing import Viewer

from chaos.system import System

MADE = "SELECT state FROM deliveries WHERE subscription = 'effect_ledger'"
FORGET = "DELETE FROM deliveries WHERE event_id = %(event)s AND subscription = 'welcome_email'"
EFFECT = "SELECT state FROM effects WHERE subscription = 'welcome_email' AND event_id = %(event)s"


@pytest.fixture
def system(start_system: Callable[..., System]) -> System:
    """A Herald that holds uncertain mails, with two: its mail server took both, and gave maya's no reply at all."""
    system = start_system(MAIL_TIMEOUT="2", NOTIFIER_UNCERTAIN="hold")
    system.sink.answer = {"maya@example.com": None, "ada@example.com": "399 perhaps"}.__getitem__
    for name in ("maya", "ada"):
        system.register(name)
    system.until(lambda: system.states() == {"succeeded": 2, "uncertain": 2})
    system.sink.answer = "250 OK"
    return system


@pytest.fixture
def viewer(system: System, view: View) -> Iterator[Viewer]:
    """A viewer of the queue of decisions, whose name is grace."""
    viewer = view(system.herald.local_url)
    page = viewer.open("/console/uncertain")
    page.get_by_label("What you do is recorded as").fill("grace")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_label("What you do is recorded as")).to_have_value("grace")
    yield viewer
    assert viewer.violations() == []


def of(page: Page, name: str) -> Locator:
    """Return what the page says of one person's mail."""
    return page.get_by_role("article").filter(has_text=f"{name}@example.com")


def mails_to(system: System, name: str) -> int:
    """Return how often the mail server has taken a mail to a recipient, also when it said nothing then."""
    return system.sink.recipients.count(f"{name}@example.com")


def event_of(system: System, user: int) -> str:
    return str(system.deliveries(user)["welcome_email"]["event_id"])


def test_the_queue_shows_the_stage_and_the_last_reply(viewer: Viewer) -> None:
    expect(viewer.page.get_by_text("2 wait for a decision")).to_be_visible()
    expect(of(viewer.page, "maya")).to_contain_text("MailUncertain: content sent, no reply: ")
    expect(of(viewer.page, "maya")).to_contain_text("timed out")
    expect(of(viewer.page, "ada")).to_contain_text("MailUncertain: content sent, no clear reply: perhaps")


def test_a_confirmed_mail_leaves_the_queue_says_by_whom_and_is_never_sent_again(system: System, viewer: Viewer) -> None:
    page, event = viewer.page, event_of(system, 1)
    before = mails_to(system, "maya")

    of(page, "maya").get_by_role("button", name="Confirm").click()

    expect(page.get_by_text("The effect is confirmed")).to_be_visible()
    expect(page.get_by_text("1 waits for a decision")).to_be_visible()
    expect(of(page, "maya")).to_have_count(0)
    page.goto(f"{viewer.base_url}/console/events/{event}")
    row = page.locator("tr[id$='-welcome_email']")
    expect(row).to_contain_text("succeeded")
    expect(row).to_contain_text("confirmed by grace")
    expect(page.get_by_text("confirm of welcome_email, by grace")).to_be_visible()
    expect(page.locator(".tried")).to_contain_text("uncertain")  # what it was before the decision is still shown
    system.until(lambda: system.query("users", MADE) == [("succeeded",)])
    assert system.query("notifier", EFFECT, {"event": event}) == [("done",)]

    replay(viewer)
    expect(page.get_by_text("Nothing of that can be moved now.")).to_be_visible()
    system.query("users", FORGET, {"event": event})
    replay(viewer)  # as if the subscription had never had the event
    page.get_by_role("button", name="Replay 1").click()
    expect(page.get_by_text("1 of 1")).to_be_visible()
    system.until(lambda: system.deliveries(1)["welcome_email"]["state"] == "succeeded")
    assert mails_to(system, "maya") == before


def replay(viewer: Viewer) -> None:
    """Ask for a replay of the welcome emails of the last hour."""
    viewer.open("/console/bulk?action=replay&subscription=welcome_email&since=1h")


def test_another_is_sent_again_and_arrives(system: System, viewer: Viewer) -> None:
    page = viewer.page
    before = mails_to(system, "ada"), mails_to(system, "maya")

    of(page, "ada").get_by_role("button", name="Send again").click()

    expect(page.get_by_text("The delivery is due again")).to_be_visible()
    system.until(lambda: system.states() == {"succeeded": 3, "uncertain": 1})
    assert (mails_to(system, "ada"), mails_to(system, "maya")) == (before[0] + 1, before[1])
    assert system.deliveries(2)["welcome_email"]["confirmed_by"] is None, "the provider has reported it"
    page.reload()
    expect(of(page, "ada")).to_have_count(0)


def test_all_are_confirmed_at_once(system: System, viewer: Viewer) -> None:
    page, before = viewer.page, len(system.sink.recipients)

    page.get_by_role("link", name="Confirm all").click()
    page.get_by_role("button", name="Confirm 2").click()

    expect(page.get_by_text("2 of 2")).to_be_visible()
    system.until(lambda: system.query("users", MADE) == [("succeeded",)] * 2)
    assert {system.deliveries(user)["welcome_email"]["confirmed_by"] for user in (1, 2)} == {"grace"}
    assert len(system.sink.recipients) == before
    page.goto(f"{viewer.base_url}/console/uncertain")
    expect(page.get_by_text("Nothing waits for your decision")).to_be_visible()
