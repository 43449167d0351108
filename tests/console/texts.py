"""What a page says, without a browser."""

import re
from html import unescape
from html.parser import HTMLParser

import httpx
from tests.integration.live_api import LiveApi


def show(api: LiveApi, path: str, status: int = 200, *, part: bool = False) -> str:
    """Return the text of a page's main part, without tags. `part`: as htmx asks for it."""
    answer = api.http.get(f"/console{path}", headers={"HX-Request": "true"} if part else {})
    assert answer.status_code == status, answer.text
    return text_of(answer.text)


def text_of(page: str) -> str:
    body = page.partition("<main")[2].partition("</main>")[0] or page
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def send(api: LiveApi, path: str, **fields: str) -> httpx.Response:
    """Send a form of the console."""
    return api.http.post(f"/console{path}", data=fields, headers={"Sec-Fetch-Site": "same-origin"})


class _Loose(HTMLParser):
    """Collects the text of a page's main part that isn't within one of `skipped`."""

    def __init__(self, skipped: frozenset[str]) -> None:
        super().__init__()
        self._skipped = skipped
        self._within: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._skipped:
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipped:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within and data.strip():
            self.texts.append(" ".join(data.split()))


def outside_of(page: str, *tags: str) -> list[str]:
    """Return the texts of a page's main part that aren't within one of these elements."""
    parser = _Loose(frozenset(tags))
    parser.feed(page.partition("<main")[2].partition(">")[2].partition("</main>")[0])
    return parser.texts
