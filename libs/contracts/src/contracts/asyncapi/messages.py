"""Messages and their schemas: the envelope around the data of each version of an event."""

import json
from collections.abc import Mapping
from typing import Any

from contracts.envelope import EventData
from contracts.schemas import envelope_schema, schema_of

Examples = Mapping[str, Mapping[str, Any]]
"""The golden messages by revision, such as `user_registered.1.0`."""

_SCHEMAS = "#/components/schemas/"

_DELIVERY = """\
What a Dramatiq message carries beside the event. The message is JSON with `queue_name`, `actor_name` (the effect), \
`message_id`, and `args`: the publisher, and a list of objects with `dispatch`, `generation` and `event`."""


def key(model: type[EventData]) -> str:
    """Name a version of an event, such as `user_registered.1`."""
    return f"{model.event_type}.{model.version}"


def summary(model: type[EventData]) -> str:
    """Say what happened: the first paragraph of the model's docstring."""
    return " ".join((model.__doc__ or "").partition("\n\n")[0].split())


def message(model: type[EventData], examples: Examples) -> dict[str, Any]:
    """Return the message of one version of an event."""
    of_version = (name for name in examples if name.rpartition(".")[0] == key(model))
    revisions = sorted(of_version, key=lambda name: int(name.rpartition(".")[2]))
    return {
        "name": key(model),
        "title": f"{model.event_type}, version {model.version}",
        "summary": summary(model),
        "headers": {"$ref": f"{_SCHEMAS}delivery"},
        "correlationId": {"$ref": "#/components/correlationIds/correlationid"},
        "payload": {"$ref": f"{_SCHEMAS}{key(model)}.event"},
        "examples": [
            {"name": name, "headers": _first_dispatch(examples[name]), "payload": examples[name]} for name in revisions
        ],
    }


def _first_dispatch(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"publisher": event["source"], "dispatch": 1, "generation": 0}


def correlation_id() -> dict[str, Any]:
    """Return where each message has its correlation id."""
    return {
        "description": "The same in the events that follow from this one, and in all their log lines.",
        "location": "$message.payload#/correlationid",
    }


def schemas(models: list[type[EventData]]) -> dict[str, Any]:
    """Return the schemas of the headers, the envelope, and of each version's event, data, and models in the data."""
    schemas = {"delivery": _delivery(), "envelope": _without_identity(envelope_schema())}
    for model in models:
        schemas |= {f"{key(model)}.event": _event(model), **_hoisted(model)}
    return schemas


def _delivery() -> dict[str, Any]:
    publisher = "The service whose relay receives the receipts."
    dispatch = "How often the delivery was put into Redis: a fencing token."
    generation = "How often an operator retried or replayed the delivery."
    properties = {
        "publisher": {"type": "string", "pattern": "^[a-z0-9-]+$", "description": publisher},
        "dispatch": {"type": "integer", "minimum": 0, "description": dispatch},
        "generation": {"type": "integer", "minimum": 0, "description": generation},
    }
    shape = {"type": "object", "properties": properties, "required": list(properties)}
    return {"title": "Delivery", "description": _DELIVERY, **shape}


def _event(model: type[EventData]) -> dict[str, Any]:
    """Return the schema of the envelope around the data of one version."""
    return {
        "title": f"{model.event_type}, version {model.version}",
        "allOf": [
            {"$ref": f"{_SCHEMAS}envelope"},
            {
                "properties": {
                    "type": {"const": model.event_type},
                    "dataschema": {"const": model.schema_uri()},
                    "data": {"$ref": f"{_SCHEMAS}{key(model)}"},
                }
            },
        ],
    }


def _hoisted(model: type[EventData]) -> dict[str, Any]:
    """Return the schemas of the data and of the models in it, whose names may mean others in another version."""
    prefix = f"{_SCHEMAS}{key(model)}."
    schema = json.loads(json.dumps(schema_of(model)).replace('"#/$defs/', f'"{prefix}'))
    inner = {f"{key(model)}.{name}": inner for name, inner in schema.pop("$defs", {}).items()}
    return {key(model): _without_identity(schema), **inner}


def _without_identity(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out `$id`, which would be the base of the references inside, and the dialect, which is AsyncAPI's."""
    return {name: value for name, value in schema.items() if name not in {"$id", "$schema"}}
