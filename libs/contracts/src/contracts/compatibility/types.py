"""The types of the JSON that a schema accepts."""

from contracts.schemas import Schema

ALL = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def types_of(schema: Schema) -> frozenset[str]:
    """Return the types that a schema names; all, if it names none."""
    return frozenset({schema["type"]}) if "type" in schema else ALL


def accepted_types(schema: Schema) -> frozenset[str]:
    """Return the types of what a schema accepts: a number may be an integer."""
    types = types_of(schema)
    return types | {"integer"} if "number" in types else types


def name_of(types: frozenset[str]) -> str:
    """Say the types in words."""
    return "any type" if types == ALL else ", ".join(sorted(types))
