"""The event catalogue, as people read it: docs/events.md, and the page `/events` of users-api.

Everything in it is read from the AsyncAPI document, so it shows what other tools read too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.asyncapi.wording import due, retries
from contracts.catalogue.fields import Field, fields, resolved

Document = Mapping[str, Any]

POLICIES = """\
Publishers write no delivery for an effect whose setting is empty. After a transient error a delivery is attempted
again, with delays that double from the shorter to the longer one; after its last attempt it is `failed`, until an
operator retries it."""
"""What to know of the effects' columns `when` and `retries`."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a service does when the event reaches it."""

    name: str
    service: str
    queue: str
    due: str
    retries: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an event. `examples`: golden messages as JSON, by the number of the revision, such as 1.0."""

    title: str
    summary: str
    schema: str
    fields: tuple[Field, ...]
    examples: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event type. `versions`: newest first. `occasion`: which schedule makes it, if one does."""

    name: str
    publishers: tuple[str, ...]
    occasion: str
    effects: tuple[Effect, ...]
    versions: tuple[Version, ...]

    @property
    def summary(self) -> str:
        """What happened."""
        return self.versions[0].summary


def entries(document: Document) -> tuple[Entry, ...]:
    """Read the event types from the AsyncAPI document."""
    return tuple(_entry(document, name) for name in document["channels"])


def envelope(document: Document) -> tuple[Field, ...]:
    """Read the attributes that every event has."""
    return fields(document, document["components"]["schemas"]["envelope"])


def _entry(document: Document, name: str) -> Entry:
    here = [each for each in document["operations"].values() if each["channel"]["$ref"] == f"#/channels/{name}"]
    sends = [each for each in here if each["action"] == "send"]
    return Entry(
        name=name,
        publishers=tuple(tag["name"] for send in sends for tag in send["tags"]),
        occasion=" ".join(send["description"] for send in sends if "description" in send),
        effects=tuple(_effect(each["x-herald-effect"]) for each in here if each["action"] == "receive"),
        versions=tuple(_version(document, each) for each in document["channels"][name]["messages"].values()),
    )


def _effect(subscription: Mapping[str, Any]) -> Effect:
    return Effect(
        name=subscription["name"],
        service=subscription["service"],
        queue=subscription["queue"],
        due=due(subscription),
        retries=retries(subscription),
    )


def _version(document: Document, reference: Mapping[str, Any]) -> Version:
    message = resolved(document, reference)
    event = resolved(document, message["payload"])
    properties = event["allOf"][1]["properties"]
    return Version(
        title=message["title"],
        summary=message["summary"],
        schema=properties["dataschema"]["const"],
        fields=fields(document, resolved(document, properties["data"])),
        examples={
            each["name"].partition(".")[2]: json.dumps(each["payload"], indent=2, ensure_ascii=False)
            for each in message["examples"]
        },
    )
