"""What a page says, without a browser."""

import re
from html import unescape

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
