"""The pages for people, without internet: what they load and link to is here."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.patience import PATIENCE

from users_api.app import create_app

from .live_api import LiveApi, is_problem, running

LOADED = re.compile(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""")


def loaded(html: str) -> list[str]:
    """Return the URLs that a page loads or links to."""
    return [first or second for first, second in LOADED.findall(html)]


def test_docs_loads_nothing_from_elsewhere_and_all_of_it_is_there(api: LiveApi) -> None:
    page = api.http.get("/docs")
    urls = loaded(page.text)

    assert "SwaggerUIBundle(" in page.text
    assert len(urls) >= 4
    assert all(url.startswith("/") and not url.startswith("//") for url in urls)
    for url in urls:
        assert api.http.get(url).status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert '"validatorUrl": null' in page.text


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("swagger-ui-bundle.js", "text/javascript", 1_000_000),
        ("swagger-ui.css", "text/css", 100_000),
        ("favicon-32x32.png", "image/png", 100),
    ],
)
def test_the_files_of_docs_are_whole_and_say_what_they_are(api: LiveApi, name: str, kind: str, size: int) -> None:
    answer = api.http.get(f"/docs/assets/{name}")

    assert answer.status_code == 200
    assert answer.headers["content-type"].split(";")[0] == kind
    assert len(answer.content) > size
    assert api.http.head(f"/docs/assets/{name}").headers["content-length"] == str(len(answer.content))
    again = api.http.get(f"/docs/assets/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["", "nothing.js", "..%2f..%2fmain.py", "%00"])
def test_nothing_else_is_a_file_of_docs(api: LiveApi, name: str) -> None:
    assert is_problem(api.http.get(f"/docs/assets/{name}"), 404)
    assert is_problem(api.http.get("/redoc"), 404)


def test_files_of_docs_can_only_be_read(api: LiveApi) -> None:
    answer = api.http.post("/docs/assets/swagger-ui.css")
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


def test_the_front_says_what_this_is_and_where_to_go_on(api: LiveApi) -> None:
    answer = api.http.get("/")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Registers users" in answer.text
    urls = [url for url in loaded(answer.text) if url != "data:,"]
    assert {"/docs", "/users", "/readyz"} <= set(urls)
    for url in urls:
        assert api.http.get(url).status_code == 200
    assert "mail" not in answer.text.replace("welcome email", "")


def test_the_front_links_to_the_mails_where_there_is_a_mailbox(api: LiveApi) -> None:
    mailbox = 'http://localhost:8025/?a=1&b="<script>'
    with running(create_app(api.database.info.dsn, mailbox)) as http:
        page = http.get("/").text
    assert 'href="http://localhost:8025/?a=1&amp;b=&quot;&lt;script&gt;"' in page
    assert "<script>" not in page


def test_pages_behind_a_prefix_load_what_is_behind_it(api: LiveApi) -> None:
    app = create_app(api.database.info.dsn)
    app.root_path = "/herald"
    with running(app) as http:
        assert all(url.startswith("/herald/") for url in loaded(http.get("/herald/docs").text))
        assert http.get("/herald/docs/assets/swagger-ui.css").status_code == 200
        assert 'href="/herald/docs"' in http.get("/herald/").text


@pytest.mark.parametrize("url", ["localhost:8025", "javascript:alert(1)", "ftp://localhost"])
def test_a_mailbox_that_is_no_page_is_refused(url: str) -> None:
    program = str(Path(sys.executable).with_name("users-api"))
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "MAILBOX_URL": url}
    run = subprocess.run([program, "serve"], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 2
    assert "MAILBOX_URL" in run.stderr


def test_a_redirect_is_never_needed(api: LiveApi) -> None:
    with httpx.Client(base_url=api.http.base_url, follow_redirects=False, timeout=PATIENCE) as http:
        assert {http.get(path).status_code for path in ("/", "/docs", "/docs/assets/swagger-ui.css")} == {200}
