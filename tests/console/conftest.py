"""The console on real HTTP, and in a real browser: Debian's Chromium, driven by Playwright.

A browser test fails if its page logged an error, or requested anything from another host.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.console.viewing import Viewer, viewing
from tests.e2e.conftest import start_system, system
from tests.integration.conftest import api
from tests.integration.live_api import LiveApi, live_api

from devstack.postgres import Postgres

__all__ = ["api", "start_system", "system"]

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

View = Callable[..., Viewer]
"""`view(base_url, size, dark=…)`: open a browser window; it is checked and closed after the test."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a file. While it is open, Playwright's event loop runs in the thread of the tests."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.fail("No browser. On Debian: apt-get install chromium (another one: CHROMIUM=/path)", pytrace=False)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def view(browser: Browser) -> Iterator[View]:
    with ExitStack() as stack:
        yield lambda base_url, *rest, **more: stack.enter_context(viewing(browser, base_url, *rest, **more))


@pytest.fixture(scope="module")
def running_api(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[LiveApi]:
    """users-api with its console, on a database of the module's own."""
    name = "console_" + request.module.__name__.rpartition(".")[2]
    with live_api(postgres, name, console=True) as running:
        yield running
