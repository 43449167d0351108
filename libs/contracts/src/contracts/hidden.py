"""What a model refuses or writes, and its JSON Schema doesn't show.

A change of such a rule would break services without a difference between two schemas. So a contract has none: it says
what the data is, and the handler checks what else it needs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import SkipJsonSchema, WithJsonSchema

_BOUNDS = frozenset({"ge", "gt", "le", "lt", "now_op"})
_TIMES = frozenset({"date", "datetime", "time", "timedelta"})
_VALUES = frozenset({"default", "expected", "function", "metadata", "serialization"})
"""Keys whose values are no schemas that read something."""


def hidden(schema: Any, where: str) -> Iterator[str]:
    """Yield the rules of a pydantic core schema that its JSON Schema hides, each with the field that has it."""
    if isinstance(schema, Mapping):
        where = schema["cls"].__name__ if schema.get("type") == "model" else where
        yield from (f"{where} {rule}" for rule in _rules(schema))
        for name, inner in schema.items():
            is_field = isinstance(inner, Mapping) and inner.get("type") == "model-field"
            if name not in _VALUES or is_field:
                yield from hidden(inner, f"{where}.{name}" if is_field else where)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from hidden(inner, where)


def _rules(schema: Mapping[str, Any]) -> Iterator[str]:
    yield from _code(schema)
    kind = str(schema.get("type"))
    if kind == "datetime" and schema.get("tz_constraint") != "aware":
        yield "may be a time without its zone: use AwareDatetime"
    if kind in _TIMES and not _BOUNDS.isdisjoint(schema):
        yield "has a bound: let the handler check it"
    if kind == "str" and schema.get("strip_whitespace"):
        yield "is stripped before its bounds are checked: let the handler strip it"
    if "serialization_exclude_if" in schema and schema["schema"]["type"] != "default":
        yield "may be left out: give it a default"
    if kind == "complex" or (kind == "dict" and schema.get("keys_schema", {}).get("type") in {"bool", "float", "int"}):
        yield "is written as text, and must be a number: use numbers, and names of text"
    metadata = schema.get("metadata", {})
    shown = metadata.get("pydantic_js_annotation_functions", ())
    if callable(metadata.get("pydantic_js_extra")) or any(
        isinstance(getattr(function, "__self__", None), SkipJsonSchema | WithJsonSchema) for function in shown
    ):
        yield "has another JSON Schema than its type's: name a type that has it"


def _code(schema: Mapping[str, Any]) -> Iterator[str]:
    kind = str(schema.get("type"))
    reads = schema["function"]["function"] if kind.startswith("function-") else schema.get("discriminator")
    if callable(reads) and not _of_pydantic(reads):
        yield "has a validator: let the handler check it"
    writes = schema.get("serialization", {}).get("function")
    if callable(writes) and not _of_pydantic(writes):
        yield "has a serializer: let the publisher make the value"
    if kind == "model" and (schema.get("custom_init") or schema.get("post_init")):
        yield "has code that runs when it is made: let the handler run it"


def _of_pydantic(function: Any) -> bool:
    """Pydantic's own types, such as HttpUrl, check more than their format too, but don't change with our models."""
    package = str(getattr(function, "__module__", "")).partition(".")[0]
    is_predicate = "apply_known_metadata" in getattr(function, "__qualname__", "")  # pydantic's, around one of ours
    return package in {"ipaddress", "operator", "pydantic"} and not is_predicate
