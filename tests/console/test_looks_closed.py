"""Pages that let nobody in, or that have nothing to show: they are readable too, on every screen."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect
from tests.console.conftest import View
from tests.console.viewing import LOOKS
from tests.integration.live_api import LiveApi, live_api, running

from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from users_api.app import create_app
from users_api.console.mounting import mount_console

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
TOKEN = "a token of an operator"

FORM = '<form method="post" action="{}"><button>Send</button></form>'


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> Iterator[LiveApi]:
    """users-api whose console needs a token."""
    with live_api(postgres, "console_closed", console=True, token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def away(redis_server: RedisServer) -> Iterator[httpx.Client]:
    """users-api without PostgreSQL."""
    app = create_app(NOWHERE, redis_url=redis_server.url)
    mount_console(app)
    with running(app) as http:
        yield http


@pytest.mark.parametrize("look", LOOKS)
def test_the_login(guarded: LiveApi, view: View, look: str) -> None:
    size, dark = LOOKS[look]
    viewer = view(str(guarded.http.base_url), size, dark=dark)
    viewer.expect("403", "401")
    page = viewer.open()
    viewer.is_readable("the login")
    if look != "phone-dark":
        viewer.picture(f"login-{look}")

    page.get_by_label("Token").fill("not the token, sorry")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("the token")
    viewer.is_readable("a wrong token")

    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.context.clear_cookies()
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_role("heading")).to_have_text("You are logged out")
    viewer.is_readable("logged out")


@pytest.mark.parametrize("look", LOOKS)
def test_a_refusal(api: LiveApi, view: View, look: str) -> None:
    size, dark = LOOKS[look]
    viewer = view(str(api.http.base_url), size, dark=dark)
    viewer.expect("403")
    viewer.page.set_content(FORM.format(f"{viewer.base_url}/console/name"))
    viewer.page.get_by_role("button").click()
    expect(viewer.page.get_by_role("heading")).to_have_text("Refused")
    viewer.is_readable("a form of another site")

    viewer.page.set_extra_http_headers({"X-Forwarded-For": "192.0.2.1"})
    page = viewer.open()
    expect(page.get_by_role("heading")).to_have_text("The console is closed to other machines")
    viewer.is_readable("another machine")


@pytest.mark.parametrize("look", LOOKS)
def test_postgresql_is_away(away: httpx.Client, view: View, look: str) -> None:
    size, dark = LOOKS[look]
    viewer = view(str(away.base_url).rstrip("/"), size, dark=dark)
    viewer.expect("503")
    for path in ("", "/failures"):
        page = viewer.open(f"/console{path}")
        expect(page.get_by_text("PostgreSQL doesn't answer.")).to_be_visible()
        viewer.is_readable(path)
