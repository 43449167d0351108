"""The AsyncAPI document: valid by the official schema, complete, and the one that is committed."""

import json
import lzma
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import jsonschema_rs
import pytest

from contracts import SUBSCRIPTIONS, EventData, asyncapi
from contracts.asyncapi import channels
from contracts.catalogue.fields import resolved
from contracts.compatibility.publishing import as_json
from contracts.events import PUBLISHERS
from contracts.subscriptions import WELCOME_EMAIL
from messaging.wire import message

from .goldens import goldens

DOCUMENT = asyncapi.document(goldens())
OFFICIAL = Path(__file__).with_name("asyncapi-3.0.0.schema.json.xz")


@pytest.fixture(scope="module")
def official() -> jsonschema_rs.Validator:
    content = lzma.decompress(OFFICIAL.read_bytes())
    assert sha256(content).hexdigest() in OFFICIAL.with_name("asyncapi-3.0.0.schema.txt").read_text(), "it was changed"
    return jsonschema_rs.validator_for(json.loads(content), validate_formats=True)


def changed(path: str, value: object) -> dict[str, Any]:
    """Return a copy of the document with another value, such as at "info/title"."""
    copy: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    *parents, last = path.split("/")
    target = copy
    for step in parents:
        target = target[step]
    target[last] = value
    return copy


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str):
            yield reference
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def test_the_document_is_valid_by_the_official_schema(official: jsonschema_rs.Validator) -> None:
    assert [str(error) for error in official.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("asyncapi", "2.6.0"),
        ("info/version", 1),
        ("nonsense", {}),
        ("channels/user_registered/address", 7),
        ("operations/users-api.send.user_registered/action", "publish"),
        ("operations/users-api.send.user_registered/channel", "user_registered"),
        ("operations/notifier.receive.welcome_email/effect", "welcome_email"),
        ("components/messages/user_registered.1/examples", [{"name": "no payload"}]),
        ("components/correlationIds/correlationid/location", "correlationid"),
        ("components/schemas/user_registered.1", {"type": "text"}),
        ("components/schemas/user_registered.1", {"required": "user_id"}),
    ],
)
def test_the_official_schema_refuses_a_broken_document(
    official: jsonschema_rs.Validator, path: str, value: object
) -> None:
    assert not official.is_valid(changed(path, value))


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))

    assert len(found) > 10
    for reference in found:
        assert resolved(DOCUMENT, {"$ref": reference})
    with pytest.raises(KeyError):
        resolved(DOCUMENT, {"$ref": "#/components/schemas/nothing"})


def test_no_schema_has_an_id_which_references_in_it_would_be_relative_to() -> None:
    schemas = DOCUMENT["components"]["schemas"].values()

    assert [schema["title"] for schema in schemas if {"$id", "$schema"} & set(schema)] == []


def test_every_publisher_and_every_subscription_is_an_operation() -> None:
    sends = {f"{service}.send.{event.event_type}" for service, events in PUBLISHERS.items() for event in events}
    receives = {f"{each.service}.receive.{each.name}" for each in SUBSCRIPTIONS}

    assert set(DOCUMENT["operations"]) == sends | receives
    for name, operation in DOCUMENT["operations"].items():
        assert operation["action"] == name.split(".")[1]
        assert operation["tags"] == [{"name": name.split(".")[0]}]


def test_an_operation_has_the_channel_and_the_policies_of_its_subscription() -> None:
    for each in SUBSCRIPTIONS:
        operation = DOCUMENT["operations"][f"{each.service}.receive.{each.name}"]
        effect = operation["x-herald-effect"]

        assert operation["channel"] == {"$ref": f"#/channels/{each.event_type}"}
        assert (effect["queue"], effect["switch"]) == (each.queue, each.switch)
        assert effect["retry"]["max_attempts"] == each.retry.max_attempts
        assert f"`{each.queue}`" in DOCUMENT["channels"][each.event_type]["description"]


def test_the_examples_are_the_golden_messages() -> None:
    messages = DOCUMENT["components"]["messages"]
    examples = {each["name"]: (name, each["payload"]) for name in messages for each in messages[name]["examples"]}

    assert examples == {name: (name.rpartition(".")[0], golden) for name, golden in goldens().items()}


def test_the_correlation_id_is_where_the_document_says() -> None:
    location = DOCUMENT["components"]["correlationIds"]["correlationid"]["location"]
    name = location.removeprefix("$message.payload#/")

    assert all(golden[name] for golden in goldens().values())


def test_the_headers_are_what_a_message_carries_beside_the_event() -> None:
    golden = goldens()["user_registered.1.0"]
    encoded = message.encode("users-api/1", WELCOME_EMAIL, [message.Item(2, 1, json.dumps(golden))])
    publisher, [item] = json.loads(encoded)["args"]
    event = item.pop("event")
    headers = {"publisher": publisher, **item}
    delivery = DOCUMENT["components"]["schemas"]["delivery"]

    assert event == golden
    assert headers.keys() == delivery["properties"].keys() == set(delivery["required"])
    assert jsonschema_rs.is_valid(delivery, headers)
    assert all(jsonschema_rs.is_valid(delivery, headers | {"dispatch": count}) == (count >= 0) for count in (-1, 0))


class OrderPlacedV1(EventData):
    """An order was placed."""

    event_type: ClassVar[str] = "order_placed"
    version: ClassVar[int] = 1

    order_id: int


class OrderPlaced(OrderPlacedV1):
    """An order was placed, and said in which language."""

    version: ClassVar[int] = 2
    predecessor: ClassVar[type[EventData] | None] = OrderPlacedV1

    locale: str


def test_an_older_version_stays_and_only_receivers_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncapi, "EVENTS", (OrderPlaced,))
    monkeypatch.setattr(channels, "PUBLISHERS", {"shop": (OrderPlaced,)})
    monkeypatch.setattr(channels, "SUBSCRIPTIONS", (WELCOME_EMAIL.model_copy(update={"event": OrderPlaced}),))

    made = asyncapi.document({})

    newest, older = (f"#/channels/order_placed/messages/order_placed.{version}" for version in (2, 1))
    assert list(made["channels"]["order_placed"]["messages"]) == ["order_placed.2", "order_placed.1"]
    send, receive = made["operations"].values()
    assert send["messages"] == [{"$ref": newest}]
    assert receive["messages"] == [{"$ref": newest}, {"$ref": older}]
    summaries = [each["summary"] for each in made["components"]["messages"].values()]
    assert summaries == [OrderPlaced.__doc__, OrderPlacedV1.__doc__]


def test_the_revisions_of_a_version_are_examples_in_their_order() -> None:
    golden = goldens()["user_registered.1.0"]
    made = asyncapi.document({f"user_registered.1.{revision}": golden for revision in (10, 0, 2)})

    names = [each["name"] for each in made["components"]["messages"]["user_registered.1"]["examples"]]
    assert names == ["user_registered.1.0", "user_registered.1.2", "user_registered.1.10"]


def test_the_committed_document_is_the_one_that_is_made() -> None:
    assert asyncapi.PUBLISHED.read_text("utf-8") == as_json(DOCUMENT), "run: make contracts"
    assert asyncapi.published() == DOCUMENT
