"""The page `/events`: the event catalogue, without internet; and the AsyncAPI document that it is made from."""

import re

import pytest

from contracts import SUBSCRIPTIONS, asyncapi
from contracts.catalogue import entries, envelope
from contracts.events import EVENTS, PUBLISHERS
from users_api.app import create_app
from users_api.event_page import code

from .live_api import LiveApi, is_problem, running

_LINK = re.compile(r'(?:src|href)="([^"]*)"')


def test_the_page_shows_every_event_and_every_effect(api: LiveApi) -> None:
    answer = api.http.get("/events")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for event in EVENTS:
        assert f'<section id="{event.event_type}">' in answer.text
        assert f"<code>{event.schema_uri()}</code>" in answer.text
    for subscription in SUBSCRIPTIONS:
        assert f'<td data-label="effect"><span><code>{subscription.name}</code></span></td>' in answer.text
        assert f"<code>{subscription.switch or subscription.name}</code>" in answer.text
    for service in PUBLISHERS:
        assert f"Published by {service}." in answer.text


def test_the_page_shows_every_field_and_an_example(api: LiveApi) -> None:
    page = api.http.get("/events").text
    document = asyncapi.published()
    published = [*envelope(document), *(field for entry in entries(document) for field in entry.versions[0].fields)]

    assert len(published) > 20
    for field in published:
        assert f"<code>{field.name}</code>" in page
        assert f"<span>{code(field.meaning)}</span>" in page or not field.meaning
    assert page.count('<td data-label="meaning">') == sum(bool(field.meaning) for field in published)
    assert "zoë@bücher.example" in page
    assert "Zoë O&#39;Brien" in page, "escaped"


def test_the_page_loads_nothing_and_runs_nothing(api: LiveApi) -> None:
    page = api.http.get("/events").text
    links = _LINK.findall(page)

    assert "<script" not in page
    assert "://" not in page
    assert "@import" not in page
    assert "url(" not in page
    for link in links:
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page
        elif link != "data:,":
            assert api.http.get(link).status_code == 200
    assert {"/", "/docs", "/asyncapi.json"} <= set(links)


def test_the_page_is_readable_in_the_dark_and_on_a_phone(api: LiveApi) -> None:
    page = api.http.get("/events").text

    assert "prefers-color-scheme: dark" in page
    assert '<meta name="viewport" content="width=device-width">' in page


def test_the_document_is_the_committed_one(api: LiveApi) -> None:
    answer = api.http.get("/asyncapi.json")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == asyncapi.PUBLISHED.read_bytes()


@pytest.mark.parametrize(("path", "beneath"), [("/events", 422), ("/asyncapi.json", 404)])
def test_both_are_for_reading_and_outside_the_api(api: LiveApi, path: str, beneath: int) -> None:
    assert api.http.head(path).status_code == 200
    assert is_problem(api.http.post(path), 405)
    assert is_problem(api.http.get(f"{path}?event=user_registered"), 422)
    assert is_problem(api.http.get(f"{path}/user_registered"), beneath), "/events/{id} is an event's"
    assert path not in api.http.get("/openapi.json").json()["paths"]


def test_the_front_links_to_both(api: LiveApi) -> None:
    assert {"/events", "/asyncapi.json"} <= set(_LINK.findall(api.http.get("/").text))


def test_the_page_behind_a_prefix_links_to_what_is_behind_it(api: LiveApi) -> None:
    app = create_app(api.database.info.dsn)
    app.root_path = "/herald"
    with running(app) as http:
        links = _LINK.findall(http.get("/herald/events").text)
    assert {"/herald/docs", "/herald/asyncapi.json"} <= set(links)


def test_a_text_is_escaped_and_what_is_in_backticks_is_code() -> None:
    assert code("`a` < `b`, <script>") == "<code>a</code> &lt; <code>b</code>, &lt;script&gt;"
