"""The JSON Schemas (2020-12) of the models: what `libs/contracts/schemas` publishes.

The models are the one source. Each schema describes the JSON of one version of an event's `data`, or of the envelope;
the same JSON is written and read, so one schema serves producers and consumers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, PydanticUserError

from contracts.envelope import Event, EventData
from contracts.errors import ContractError
from contracts.events import EVENTS, PUBLISHERS
from contracts.hidden import hidden

Schema = Mapping[str, Any]

ENVELOPE = "urn:herald:envelope:1"
"""The `$id` of the envelope's schema. An event's is its `dataschema`."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

EVENT_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What an event type looks like. File names, URNs and channels are made of it."""


def versions(newest: type[EventData]) -> Iterator[type[EventData]]:
    """Yield the models of an event type, newest first."""
    model: type[EventData] | None = newest
    while model:
        yield model
        model = model.predecessor


def schema_of(model: type[EventData]) -> Schema:
    """Return the schema of an event's `data`. Its `$id` is the `dataschema` of the events; no name of a class is in it.

    Raises:
        ContractError: a field is read in another form than it is written, as pydantic does with `Decimal`; or the model
            has a validator, or another rule that its schema can't show.
    """
    return {"$schema": DIALECT, "$id": model.schema_uri(), **_one_form(model), "title": model.event_type}


def envelope_schema() -> Schema:
    """Return the schema of the envelope, around data of any kind."""
    schema = _one_form(Event[EventData])
    data = {**_without(schema["properties"]["data"], "$ref"), "title": "Data", "type": "object"}
    return {
        "$schema": DIALECT,
        "$id": ENVELOPE,
        **_without(schema, "$defs"),
        "title": "Event",
        "properties": {**schema["properties"], "data": data},
    }


def all_schemas() -> Mapping[str, Schema]:
    """Return the schema of the envelope and of each version of each event, by `$id`.

    Raises:
        ContractError: a model has no schema, no name that can be published, or that of another; or it isn't in EVENTS.
    """
    models = [model for newest in EVENTS for model in versions(newest)]
    by_id: dict[str, type[EventData]] = {}
    for model in models:
        _check_name(model)
        other = by_id.setdefault(model.schema_uri(), model)
        if other is not model:
            raise ContractError(f"{other.__name__} and {model.__name__} are both {model.schema_uri()}")
    for service, events in PUBLISHERS.items():
        for model in set(events) - set(EVENTS):
            raise ContractError(f"{service} publishes {model.__name__}, which isn't in EVENTS: name the newest version")
    return {ENVELOPE: envelope_schema(), **{name: schema_of(model) for name, model in by_id.items()}}


def _check_name(model: type[EventData]) -> None:
    event, version = getattr(model, "event_type", ""), getattr(model, "version", 0)
    if not EVENT_NAME.fullmatch(event) or event == "envelope" or version < 1:
        raise ContractError(
            f"{model.__name__} can't be published as {event!r}, version {version}; name it like user_registered"
        )


def _one_form(model: type[BaseModel]) -> dict[str, Any]:
    for rule in hidden(model.__pydantic_core_schema__, model.__name__):
        raise ContractError(f"{rule}. JSON Schema doesn't show it, so a change of it would go unnoticed")
    try:
        read = model.model_json_schema(mode="validation")
        written = model.model_json_schema(mode="serialization", by_alias=False)  # as events are written
        json.dumps(read, allow_nan=False)
    except PydanticUserError as error:
        raise ContractError(f"{model.__name__} has no JSON Schema: {error.message}") from None
    except ValueError as error:
        raise ContractError(f"{model.__name__} has a default that isn't JSON: {error}") from None
    if _forms(read) != _forms(written):
        raise ContractError(
            f"{model.__name__} is read in another form than it is written; use types with one JSON form"
        )
    return read


def _forms(schema: Any) -> Any:
    """Return a schema without `required`: a field with a default is always written, and may be missing when read."""
    if isinstance(schema, dict):
        return {name: _forms(value) for name, value in schema.items() if name != "required"}
    return [_forms(value) for value in schema] if isinstance(schema, list) else schema


def _without(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in schema.items() if each != name}
