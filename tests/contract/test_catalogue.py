"""The event catalogue: what it reads from the AsyncAPI document, and docs/events.md."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts import SUBSCRIPTIONS, WELCOME_EMAIL, asyncapi
from contracts.asyncapi.wording import due, retries, span
from contracts.catalogue import entries, envelope
from contracts.catalogue.fields import Field, fields
from contracts.catalogue.markdown import markdown
from contracts.events import PUBLISHERS

PAGE = Path(__file__).parents[2] / "docs/events.md"
DOCUMENT = asyncapi.published()


def test_the_page_is_the_one_that_is_made() -> None:
    assert PAGE.read_text("utf-8") == markdown(DOCUMENT), "run: make contracts"


def test_the_page_names_every_event_effect_service_and_setting() -> None:
    page = markdown(DOCUMENT)

    for subscription in SUBSCRIPTIONS:
        assert f"| `{subscription.name}` | {subscription.service} | `{subscription.queue}` |" in page
        assert f"    {subscription.event_type} --> {subscription.name}\n" in page
        assert (subscription.switch or "") in page
    for service, events in PUBLISHERS.items():
        for event in events:
            assert f"    {service} --> {event.event_type}([" in page


def test_an_entry_says_who_publishes_it_and_what_follows() -> None:
    known = {entry.name: entry for entry in entries(DOCUMENT)}
    registered, report_due, report_ready = (known[name] for name in ("user_registered", "report_due", "report_ready"))

    assert registered.summary == "A user registered, and the registration is committed."
    assert registered.publishers == ("users-api",)
    assert {effect.name for effect in registered.effects} >= {
        "welcome_email",
        "follow_up_email",
        "audit_log",
        "webhook",
    }
    assert registered.versions[-1].schema == "urn:herald:user_registered:1"
    assert "bücher" in registered.versions[-1].examples["1.0"]
    assert report_due.occasion == "Made by the schedule `daily_report` (`0 6 * * *`, UTC)."
    assert report_ready.publishers == ("auditor",)


def test_fields_of_a_nested_model_have_its_path() -> None:
    [report_ready] = [entry for entry in entries(DOCUMENT) if entry.name == "report_ready"]
    names = [field.name for field in report_ready.versions[-1].fields]

    assert names[-6:] == [
        "files",
        "files[].name",
        "files[].content_type",
        "files[].path",
        "files[].size",
        "files[].sha256",
    ]


def test_every_field_says_what_it_means() -> None:
    of_events = [field for entry in entries(DOCUMENT) for version in entry.versions for field in version.fields]

    assert [field.name for field in [*envelope(DOCUMENT), *of_events] if not field.meaning] == []
    assert "| `slot` | string (date-time) | yes | The time that the schedule names, however" in markdown(DOCUMENT)


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "integer", "minimum": 0}, "integer (at least 0)"),
        ({"type": "string", "format": "date-time"}, "string (date-time)"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "string (at least 1 characters, at most 9 characters)"),
        ({"const": "1.0"}, '"1.0"'),
        ({"enum": ["en", "de", None]}, '"en" or "de" or null'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "list of list of number"),
        ({"type": "array"}, "list of anything"),
        ({}, "anything"),
        ({"$ref": "#/kind"}, "Kind"),
    ],
)
def test_the_type_of_a_field_is_said_in_words(schema: dict[str, Any], type_: str) -> None:
    document = {"kind": {"type": "object", "title": "Kind", "properties": {}}}

    [field] = fields(document, {"properties": {"it": {**schema, "description": "what it is"}}, "required": ["it"]})
    assert field == Field("it", type_, required=True, meaning="what it is")


def test_fields_are_found_in_an_object_that_may_be_missing_and_in_lists_of_lists() -> None:
    file = {"type": "object", "properties": {"size": {"type": "integer"}}}
    nullable = {"anyOf": [{"$ref": "#/file"}, {"type": "null"}]}
    table = {"type": "array", "items": {"type": "array", "items": {"$ref": "#/file"}}}

    found = fields({"file": file}, {"properties": {"file": nullable, "table": table}})
    assert [field.name for field in found] == ["file", "file.size", "table", "table[][].size"]


def test_a_model_that_contains_itself_is_listed_once() -> None:
    tree = {"title": "Tree", "type": "object", "properties": {"left": {"$ref": "#/tree"}, "size": {"type": "integer"}}}

    assert [field.name for field in fields({"tree": tree}, tree)] == ["left", "size"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (90, "90 s"), (60, "1 min"), (7200, "2 h"), (5400, "90 min"), (259_200, "3 d")],
)
def test_a_duration_is_said_in_the_largest_whole_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "at once"),
        ({"delay": timedelta(days=3)}, "3 d after the event"),
        ({"switch": "ON"}, "at once, if `ON` is set"),
        ({"switch": "AFTER", "delay_setting": "AFTER"}, "`AFTER` after the event, if it is set"),
        ({"switch": "ON", "delay_setting": "AFTER"}, "`AFTER` after the event, if `ON` is set"),
    ],
)
def test_it_is_said_when_an_effect_is_due(changes: dict[str, Any], text: str) -> None:
    assert due(WELCOME_EMAIL.model_copy(update=changes).model_dump(mode="json", exclude={"event"})) == text


def test_it_is_said_how_often_a_delivery_is_attempted() -> None:
    effect = WELCOME_EMAIL.model_dump(mode="json", exclude={"event"})
    assert retries(effect) == "300 attempts, 1 s to 5 min apart"
