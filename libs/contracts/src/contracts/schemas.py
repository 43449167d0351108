"""The JSON Schemas (2020-12) of the models: what `libs/contracts/schemas` publishes.

The models are the one source. Each schema describes the JSON of one version of an event's `data`, or of the envelope;
the same JSON is written and read, so one schema serves producers and consumers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from contracts.envelope import Event, EventData
from contracts.errors import ContractError
from contracts.events import EVENTS

Schema = Mapping[str, Any]

ENVELOPE = "urn:herald:envelope:1"
"""The `$id` of the envelope's schema. An event's is its `dataschema`."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def versions(newest: type[EventData]) -> Iterator[type[EventData]]:
    """Yield the models of an event type, newest first."""
    model: type[EventData] | None = newest
    while model:
        yield model
        model = model.predecessor


def schema_of(model: type[EventData]) -> Schema:
    """Return the schema of an event's `data`. Its `$id` is the `dataschema` of the events; no name of a class is in it.

    Raises:
        ContractError: a field is read in another form than it is written, as pydantic does with `Decimal`.
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
    """Return the schema of the envelope and of each version of each event, by `$id`."""
    models = [schema_of(model) for newest in EVENTS for model in versions(newest)]
    return {schema["$id"]: schema for schema in (envelope_schema(), *models)}


def _one_form(model: type[BaseModel]) -> dict[str, Any]:
    read, written = (model.model_json_schema(mode=mode) for mode in ("validation", "serialization"))
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
