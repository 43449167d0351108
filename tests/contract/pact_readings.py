"""What each effect reads of its event, and only that: the consumers' side of the pacts.

A pact says less than a schema. Every consumer decodes an event with the model of its version, so the removal of any
required field is a breaking change, whatever the pacts say (`contracts check`). A pact says which effect would be
missing something: before a new version drops or changes a field, the publisher sees for whom. So a pact states what
decoding reads (`type` and `dataschema`, which choose the model), what the subscriber reads of every event (`id` for the
receipt and the ledger, `correlationid` for log lines), and what the effect's own code reads.

test_pact_consumers.py proves "only that": the worker's code gets an event that has nothing else, and has to produce the
same effect as from the whole event; and without any one of the stated fields it produces another effect, or none.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

os.environ["PACT_DO_NOT_TRACK"] = "true"  # Pact would report each verification to its makers, over the network

from pact import match

from contracts import SUBSCRIPTIONS, EventData, Subscription
from contracts.events import PUBLISHERS

from .goldens import golden

Json = dict[str, Any]
Shape = dict[str, Any]
"""By field: how its value is matched, a shape if it is an object, and a list with one shape if it is an array."""

Field = tuple[str | int, ...]
"""The path of a field: names, and 0 for the first item of an array."""

TIME_FORMAT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
"""RFC 3339: a time has an offset."""

UUID_FORMAT = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def exactly(value: object) -> object:
    """Match nothing but this value."""
    return value


def time(value: str) -> object:
    return match.regex(value, regex=TIME_FORMAT)


def uuid(value: str) -> object:
    return match.regex(value, regex=UUID_FORMAT)


ENVELOPE: Shape = {"type": exactly, "dataschema": exactly, "id": uuid, "correlationid": match.str}
"""What decoding and the subscriber read of every event."""

USER: Shape = {"email": match.str, "full_name": match.str}
FILE: Shape = dict.fromkeys(("name", "content_type", "path", "sha256"), match.str) | {"size": match.int}

SERVICES = Path(__file__).parents[2] / "services"
OWN = [each for each in SUBSCRIPTIONS if (SERVICES / each.service).is_dir()]
"""The subscriptions whose consumers are in this repository. Any other hands in a pact that its own tests wrote."""

READINGS: Mapping[str, Shape] = {
    "welcome_email": ENVELOPE | {"time": time, "data": USER},
    "follow_up_email": ENVELOPE | {"data": USER},
    "webhook": ENVELOPE | {"time": time, "data": USER | {"user_id": match.int, "registered_at": time}},
    "audit_log": ENVELOPE | {"time": time, "data": {"email": match.str, "user_id": match.int}},
    "daily_report": ENVELOPE | {"data": {"schedule": match.str, "slot": time, "time_zone": match.str}},
    "report_email": ENVELOPE
    | {"data": {"until": time, "time_zone": match.str, "days": match.int, "registrations": match.int, "files": [FILE]}},
    "effect_ledger": ENVELOPE | {"data": {"event_id": uuid, "subscription": match.str}},
}
"""By subscription. The webhook passes all facts on to its endpoint, so it reads all of them."""

EVENTS = {event.event_type: provider for provider, events in PUBLISHERS.items() for event in events}
"""A publisher of each event."""

REPORT = b"day,registrations\r\n2026-03-13,1\r\n2026-03-14,2\r\n"
"""The file to which the example of `report_ready` refers."""


def example(event_type: str) -> Json:
    """Return a whole message: the golden one. That of `report_ready` refers to REPORT alone."""
    message = golden(event_type)
    if event_type == "report_ready":
        file = message["data"]["files"][0] | {"size": len(REPORT), "sha256": sha256(REPORT).hexdigest()}
        message["data"]["files"] = [file]
    return message


def messages(**changed: Json) -> dict[str, Json]:
    """Return a message of each event, by type: the example, unless another is given."""
    return {event: example(event) for event in EVENTS} | changed


def expectation(subscription: Subscription[EventData]) -> Json:
    """Return what the effect's pact states: Pact's matchers, with the values of the example."""
    if subscription.name not in READINGS:
        raise SystemExit(
            f"{subscription.name} has no line in READINGS (tests/contract/pact_readings.py): add what it reads"
        )
    return _matching(READINGS[subscription.name], example(subscription.event_type))


def fields(shape: Shape) -> Iterator[Field]:
    """Yield the path of each field that a shape states."""
    for name, part in shape.items():
        if isinstance(part, dict):
            yield from ((name, *field) for field in fields(part))
        elif isinstance(part, list):
            yield from ((name, 0, *field) for field in fields(part[0]))
        else:
            yield (name,)


def parent_of(message: Json, field: Field) -> Any:
    """Return the object of a message that has the field."""
    parent: Any = message
    for name in field[:-1]:
        parent = parent[name]
    return parent


def subscriptions_of(provider: str) -> list[Subscription[EventData]]:
    """Return the subscriptions of all services, other teams' too, to the events that a service publishes."""
    return [each for each in SUBSCRIPTIONS if each.event in PUBLISHERS.get(provider, ())]


def effects_of(provider: str) -> list[Subscription[EventData]]:
    """Return the subscriptions of this repository's services to the events that a service publishes."""
    return [each for each in subscriptions_of(provider) if each in OWN]


def _matching(shape: Shape, value: Mapping[str, Any]) -> Json:
    return {name: _matcher(part, value[name]) for name, part in shape.items()}


def _matcher(part: Shape | list[Shape] | Callable[[Any], object], value: Any) -> object:
    if isinstance(part, dict):
        return _matching(part, value)
    if isinstance(part, list):
        return match.each_like(_matching(part[0], value[0]), min=1)
    return part(value)
