"""A viewer of the console in a browser, and what the test notices meanwhile."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types of its own
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect
from tests.patience import PATIENCE

PICTURES = Path(__file__).parents[2] / "docs" / "console"
MAKE_PICTURES = "CONSOLE_PICTURES"
"""An environment variable: with it, tests write the pictures of docs/console."""

DESKTOP = (1280, 800)
PHONE = (390, 844)

LOOKS = {
    "desktop": (DESKTOP, False),
    "desktop-dark": (DESKTOP, True),
    "phone": (PHONE, False),
    "phone-dark": (PHONE, True),
}
"""How people look on, as the names of pictures end: the size of the screen, and whether it is dark."""

RAGGED = """Array.from(document.querySelectorAll(".cards > *")).filter(card => {
    const before = card.previousElementSibling?.getBoundingClientRect(), here = card.getBoundingClientRect();
    return before && before.right <= here.left && before.top !== here.top;
}).length"""

_AXE = Axe()

expect.set_options(timeout=PATIENCE * 1000)


class Viewer:
    """A page of a browser, at a base URL. `errors`: what its console said; `elsewhere`: requests to other hosts."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self.base_url = base_url
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.expected: tuple[str, ...] = ()
        page.on("console", self._on_message)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._on_request)

    def open(self, path: str = "/console") -> Page:
        """Open a page."""
        self.page.goto(self.base_url + path)
        return self.page

    def expect(self, *errors: str) -> None:
        """Expect error messages that contain one of these texts."""
        self.expected = errors

    def violations(self) -> list[str]:
        """Return what axe finds on the page as it is."""
        found = _AXE.run(self.page).response["violations"]
        return [f"{each['id']}: {each['help']}: {[node['html'] for node in each['nodes']][:3]}" for each in found]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def is_readable(self, what: str = "") -> None:
        """Check that axe finds nothing, and that nothing is wider than the screen."""
        assert self.violations() == [], what
        assert self.overflow() == 0, what

    def ragged(self) -> int:
        """Return how many cards begin at another height than the card left of them."""
        return int(self.page.evaluate(RAGGED))

    def picture(self, name: str) -> None:
        """Write a picture of the page into docs/console, if pictures are wanted."""
        if os.environ.get(MAKE_PICTURES):
            PICTURES.mkdir(exist_ok=True)
            (PICTURES / f"{name}.webp").write_bytes(self._drawn())

    def _drawn(self) -> bytes:
        """Return the whole page as WebP, which Playwright itself doesn't write: half the size of JPEG."""
        chromium = self.page.context.new_cdp_session(self.page)
        size = chromium.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        given = {"format": "webp", "quality": 60, "captureBeyondViewport": True, "clip": clip}
        return base64.b64decode(chromium.send("Page.captureScreenshot", given)["data"])

    def is_content(self) -> None:
        """Check that nothing was logged as an error, and nothing requested from elsewhere."""
        unexpected = [error for error in self.errors if not any(text in error for text in self.expected)]
        assert unexpected == [], unexpected
        assert self.elsewhere == [], self.elsewhere

    def _on_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob", "about"} and f"{parts.scheme}://{parts.netloc}" != self.base_url:
            self.elsewhere.append(request.url)


@contextmanager
def viewing(
    browser: Browser, base_url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False, scripts: bool = True
) -> Iterator[Viewer]:
    """Look at the console with a browser window of its own."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE * 1000)
    viewer = Viewer(context.new_page(), base_url)
    try:
        yield viewer
        viewer.is_content()
    finally:
        context.close()
