"""Instances of a JSON Schema, for Hypothesis: as far as the schemas of contracts go."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from contracts.schemas import Schema

_FORMATS = {
    "date-time": st.datetimes(timezones=st.just(UTC)).map(lambda each: each.isoformat()),
    "date": st.dates().map(lambda each: each.isoformat()),
    "uuid": st.uuids().map(str),
}


def instances(schema: Schema) -> SearchStrategy[Any]:
    """Return instances of what is written: each field that the schema names, or without it, if it is optional."""
    return _instances(schema, schema)


def _instances(schema: Schema, root: Schema) -> SearchStrategy[Any]:
    if "$ref" in schema:
        return st.deferred(lambda: _instances(root["$defs"][schema["$ref"].rpartition("/")[2]], root))
    if "anyOf" in schema:
        return st.one_of([_instances(each, root) for each in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema["type"] == "object":
        return _object(schema, root)
    if schema["type"] == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        return st.lists(_instances(schema["items"], root), min_size=least, max_size=most)
    return _SCALARS[schema["type"]](schema)


def _object(schema: Schema, root: Schema) -> SearchStrategy[Any]:
    fields = {name: _instances(field, root) for name, field in schema["properties"].items()}
    required = {name: field for name, field in fields.items() if name in schema.get("required", ())}
    optional = {name: field for name, field in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def _integer(schema: Schema) -> SearchStrategy[int]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        least, most = schema["exclusiveMinimum"] + 1, schema["exclusiveMaximum"] - 1
    return st.integers(least, most)


def _number(schema: Schema) -> SearchStrategy[float]:
    least = schema.get("exclusiveMinimum", schema.get("minimum"))
    return st.floats(least, exclude_min="exclusiveMinimum" in schema, allow_nan=False, allow_infinity=False)


def _text(schema: Schema) -> SearchStrategy[str]:
    if "format" in schema:
        return _FORMATS[schema["format"]]
    if "pattern" in schema:
        whole = schema["pattern"].removesuffix("$")  # which Python would let a newline follow
        return st.from_regex(whole, fullmatch=True).filter(lambda text: len(text) <= schema.get("maxLength", 1000))
    return st.text(max_size=schema.get("maxLength", 30))


_SCALARS: dict[str, Callable[[Schema], SearchStrategy[Any]]] = {
    "integer": _integer,
    "number": _number,
    "string": _text,
    "null": lambda _: st.none(),
}
