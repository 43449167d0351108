"""The fields of a JSON Schema, as rows of a table."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One row. `name`: the path to a field of a nested object, such as `files[].size`."""

    name: str
    type: str
    required: bool
    meaning: str


def fields(document: Schema, schema: Schema) -> tuple[Field, ...]:
    """Return the fields of an object's schema, with those of the objects in it."""
    return tuple(_rows(document, schema, prefix="", inside=()))


def resolved(document: Schema, schema: Schema) -> Schema:
    """Follow a reference within the document, with all that stands beside it."""
    if "$ref" not in schema:
        return schema
    target: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    beside = {name: value for name, value in schema.items() if name != "$ref"}
    return {**resolved(document, target), **beside}


def _rows(document: Schema, schema: Schema, prefix: str, inside: tuple[object, ...]) -> Iterator[Field]:
    """`inside`: the properties of the objects around this one, because a model may contain itself."""
    properties = schema.get("properties", {})
    if properties in inside:
        return
    for name, described in properties.items():
        whole = resolved(document, described)
        yield Field(
            name=prefix + name,
            type=_type(document, whole),
            required=name in schema.get("required", ()) or "const" in whole,
            meaning=whole.get("description", ""),
        )
        for path, nested in _objects(document, whole, prefix + name):
            yield from _rows(document, nested, f"{path}.", (*inside, properties))


def _objects(document: Schema, schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Find the objects that a field may be, or is a list of."""
    whole = resolved(document, schema)
    for each in whole.get("anyOf", ()):
        yield from _objects(document, each, path)
    if whole.get("type") == "array":
        yield from _objects(document, whole.get("items", {}), f"{path}[]")
    if "properties" in whole:
        yield path, whole


def _type(document: Schema, schema: Schema) -> str:
    if "const" in schema:
        return _value(schema["const"])
    if "enum" in schema:
        return " or ".join(map(_value, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_type(document, resolved(document, each)) for each in schema["anyOf"])
    if schema.get("type") == "array":
        kind = f"list of {_type(document, resolved(document, schema.get('items', {})))}"
    else:
        kind = str(schema.get("title" if "properties" in schema else "type", "anything"))
    notes = [schema["format"]] if "format" in schema else []
    notes += [wording.format(schema[bound]) for bound, wording in _BOUNDS.items() if bound in schema]
    return f"{kind} ({', '.join(notes)})" if notes else kind


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
