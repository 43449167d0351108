"""The AsyncAPI 3 document: which service sends which event, and which service receives it for which effect.

It is made of the models, `PUBLISHERS`, `SUBSCRIPTIONS` and `SCHEDULES`. `PUBLISHED` is committed, and part of the
installed package: `/events` of users-api shows it.
Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
from pathlib import Path
from typing import Any

from contracts.asyncapi.channels import channel, receives, sends
from contracts.asyncapi.messages import Examples, correlation_id, key, message, schemas
from contracts.events import EVENTS
from contracts.schemas import versions

PUBLISHED = Path(__file__).with_name("document.json")
"""The committed document. `make contracts` writes it."""

_ABOUT = """\
The events that Herald's services exchange. One document covers all services; the tag of an operation names its service.

A publisher writes an event in the transaction that made it happen, with one delivery for each subscription to its type.
The relay puts the deliveries that are due into Redis: one Dramatiq message carries deliveries of one subscription, to \
the actor of the same name. What the message carries beside the event is documented as `headers`.

A delivery may arrive more than once, and late. Consumers are idempotent by the event's `id`."""


def document(examples: Examples) -> dict[str, Any]:
    """Make the document; the golden messages are its examples."""
    models = [model for newest in EVENTS for model in versions(newest)]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Herald's events", "version": "1.0.0", "description": _ABOUT, "license": {"name": "MIT"}},
        "defaultContentType": "application/cloudevents+json",
        "channels": {newest.event_type: channel(newest) for newest in EVENTS},
        "operations": sends() | receives(),
        "components": {
            "messages": {key(model): message(model, examples) for model in models},
            "correlationIds": {"correlationid": correlation_id()},
            "schemas": schemas(models),
        },
    }


def published() -> dict[str, Any]:
    """Read the committed document."""
    read: dict[str, Any] = json.loads(PUBLISHED.read_text("utf-8"))
    return read
