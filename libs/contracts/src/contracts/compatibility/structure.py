"""What a schema accepts, apart from what it only says."""

from typing import Any

ANNOTATIONS = frozenset({"$defs", "$id", "$schema", "default", "deprecated", "description", "examples", "title"})
"""Keywords that accept and refuse nothing."""


def structure(schema: Any) -> Any:
    """Return a schema without what neither accepts nor refuses anything, except for defaults."""
    if isinstance(schema, dict):
        return {
            name: _inner(name, value)
            for name, value in schema.items()
            if name not in ANNOTATIONS - {"$defs", "default"}
        }
    return [structure(each) for each in schema] if isinstance(schema, list) else schema


def _inner(name: str, value: Any) -> Any:
    """Return the structure of a keyword's value, also of one that no JSON Schema has: a file may have been edited."""
    if name in {"properties", "$defs"} and isinstance(value, dict):  # names of fields and definitions, not keywords
        return {each: structure(schema) for each, schema in value.items()}
    if name == "required" and isinstance(value, list):
        return sorted(value, key=str)
    return value if name in {"default", "const", "enum"} else structure(value)
