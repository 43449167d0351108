"""What the schemas accept: each golden message, by the AsyncAPI document and by the JSON Schemas, formats included.

A broken message is refused by both, so neither accepts just anything.
"""

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from contracts import asyncapi, schemas

from .goldens import golden, goldens

DOCUMENT = asyncapi.document(goldens())
SCHEMAS = schemas.all_schemas()

Message = dict[str, Any]


def by_asyncapi(message: Message) -> bool:
    """Is the message one of the document's, and only one? Payloads have draft-07 schemas, as AsyncAPI 3.0 has them."""
    payloads = [each["payload"] for each in DOCUMENT["components"]["messages"].values()]
    schema = {"components": DOCUMENT["components"], "oneOf": payloads}
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True).is_valid(message)


def by_json_schema(message: Message) -> bool:
    """Does the message fit the schemas of the envelope and of its data, in the dialect that they name?"""
    parts = ((schemas.ENVELOPE, message), (message["dataschema"], message.get("data")))
    return all(
        jsonschema_rs.validator_for(dict(SCHEMAS[schema]), validate_formats=True).is_valid(part)
        for schema, part in parts
    )


@pytest.mark.parametrize("accepts", [by_asyncapi, by_json_schema])
@pytest.mark.parametrize("name", goldens())
def test_a_golden_message_is_accepted(accepts: Callable[[Message], bool], name: str) -> None:
    assert accepts(goldens()[name])


@pytest.mark.parametrize("accepts", [by_asyncapi, by_json_schema])
@pytest.mark.parametrize(
    ("event", "path", "value"),
    [
        ("user_registered", "id", 7),
        ("user_registered", "specversion", "0.3"),
        ("user_registered", "time", "yesterday"),
        ("user_registered", "correlationid", None),
        ("user_registered", "data", None),
        ("user_registered", "data/user_id", "1"),
        ("user_registered", "data/user_id", 1.5),
        ("user_registered", "data/email", None),
        ("user_registered", "data/registered_at", "2026-03-14"),
        ("report_due", "data/slot", 0),
        ("report_ready", "data/files", {}),
        ("report_ready", "data/files/0/size", -1),
        ("report_ready", "data/files/1/sha256", None),
        ("effect_confirmed", "data/event_id", 42),
        ("effect_confirmed", "data/confirmed_by", None),
    ],
)
def test_a_broken_message_is_refused(accepts: Callable[[Message], bool], event: str, path: str, value: object) -> None:
    message = golden(event)
    *parents, last = path.split("/")
    target: Any = message
    for step in parents:
        target = target[int(step) if step.isdigit() else step]
    target[last] = value

    assert not accepts(message)


@pytest.mark.parametrize("accepts", [by_asyncapi, by_json_schema])
@pytest.mark.parametrize("missing", ["user_id", "email", "full_name", "registered_at"])
def test_a_message_without_a_required_field_is_refused(accepts: Callable[[Message], bool], missing: str) -> None:
    message = golden("user_registered")
    del message["data"][missing]

    assert not accepts(message)


@pytest.mark.parametrize("accepts", [by_asyncapi, by_json_schema])
def test_a_field_that_is_not_known_yet_is_accepted(accepts: Callable[[Message], bool]) -> None:
    message = golden("user_registered") | {"traceparent": "00-0-0-00"}
    message["data"]["locale"] = "de"

    assert accepts(message)


@pytest.mark.parametrize(
    ("attribute", "value"), [("type", "report_due"), ("type", "x"), ("dataschema", "urn:herald:user_registered:99")]
)
def test_a_message_of_another_type_or_version_is_refused(attribute: str, value: str) -> None:
    assert not by_asyncapi(golden("user_registered") | {attribute: value})
