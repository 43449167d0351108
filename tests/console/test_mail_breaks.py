"""Real processes and a real browser: the mail server breaks, a mail is retried, fails, and is sent by hand."""

from tests.console.conftest import View
from tests.console.viewing import DESKTOP, PHONE, Viewer

from chaos.system import System

WELCOME = "tr[id$='-welcome_email']"


ONLY_THE_STREAM = """
const really = window.setTimeout;
window.setTimeout = (call, delay, ...rest) => (delay >= 10000 ? 0 : really(call, delay, ...rest));
"""
"""A script by which a page isn't read again every 15 seconds, but only when /live sends something."""


def state(viewer: Viewer, name: str) -> None:
    """Wait until the welcome email is in a state, without a reload."""
    viewer.page.wait_for_selector(f"{WELCOME} .state.{name}")


def test_break_smtp_watch_it_retry_mend_it_and_watch_it_succeed(system: System, view: View) -> None:
    system.sink.answer = "451 4.3.0 try again later"
    user = system.register("maya")["id"]
    viewer = view(system.herald.local_url, DESKTOP)
    viewer.page.add_init_script(ONLY_THE_STREAM)
    page = viewer.open("/console")

    page.get_by_role("searchbox").fill("maya@example.com")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url(f"**/console/users/{user}")
    state(viewer, "retrying")
    assert "451" in page.inner_text(WELCOME)

    system.sink.answer = "250 2.0.0 Ok: queued as 4FzK1x2Pz9"
    state(viewer, "succeeded")
    assert "4FzK1x2Pz9" in page.inner_text(WELCOME), "the provider's id is shown"
    assert "451" in page.inner_text(".tried"), "the success hides no error"
    assert "auditor log" in page.inner_text("tr[id$='-audit_log']"), "and where the audit row is"
    assert viewer.violations() == []


def test_a_refused_mail_is_retried_by_hand_and_recorded(system: System, view: View) -> None:
    system.sink.answer = "554 5.7.1 refused: content"
    user = system.register("ada")["id"]
    system.until(lambda: system.deliveries(user)["welcome_email"]["state"] == "failed")
    viewer = view(system.herald.local_url, PHONE)
    viewer.page.add_init_script(ONLY_THE_STREAM)
    page = viewer.open("/console/failures")
    assert "554 5.7.1" in page.inner_text("article")
    page.get_by_role("link", name="Show it").click()
    page.get_by_role("link", name="welcome_email").click()
    state(viewer, "failed")

    page.get_by_label("What you do is recorded as").fill("grace")
    page.get_by_role("button", name="Change").click()
    system.sink.answer = "250 OK"
    page.get_by_role("button", name="Retry").click()
    page.get_by_text("The delivery is due again").wait_for()
    state(viewer, "succeeded")

    assert system.sink.recipients == ["ada@example.com"]
    page.goto(f"{viewer.base_url}/console/operations")
    row = page.inner_text("tbody tr")
    assert "grace" in row
    assert "retry" in row
    page.goto(f"{viewer.base_url}/console/users/{user}")
    assert "retry of welcome_email, by grace" in page.inner_text("main")
    assert "554 5.7.1" in page.inner_text(".tried")
