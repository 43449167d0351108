"""A schema as the list of its alternatives, each a schema of one type or one value."""

from collections.abc import Iterator, Mapping
from typing import Any

from contracts.compatibility.structure import ANNOTATIONS
from contracts.errors import ContractError
from contracts.schemas import Schema

_CHOICES = ("anyOf", "oneOf")
_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}


class Resolver:
    """Finds the definitions that a document's references name."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    @property
    def definitions(self) -> Schema:
        """What the document's references may name."""
        found: Schema = self._document.get("$defs", {})
        return found

    def resolve(self, schema: Schema) -> Schema:
        """Return what a schema refers to, with the keywords beside the reference; or the schema, without one.

        Raises:
            ContractError: there is no such definition, or it refers to itself, or can't be combined with the rest.
        """
        seen = set()
        while "$ref" in schema:
            reference = schema["$ref"]
            if reference in seen:
                raise ContractError(f"the schema's reference {reference} leads to itself")
            seen.add(reference)
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            schema = _both(self._definition(reference), beside)
        return schema

    def _definition(self, reference: object) -> Schema:
        found: Any = self._document
        root, *steps = str(reference).split("/")
        for step in steps:
            found = found.get(step) if isinstance(found, Mapping) else None
        if root != "#" or not isinstance(found, Mapping):
            raise ContractError(f"the schema refers to {reference}, and has no such definition")
        return found


def alternatives(schema: Schema, resolver: Resolver) -> list[Schema]:
    """Return the alternatives of a schema. What it accepts is what at least one of them accepts.

    Raises:
        ContractError: it has none.
    """
    found = list(_split(resolver.resolve(schema), resolver))
    if not found:
        raise ContractError(f"the schema {schema} accepts nothing")
    return found


def _split(schema: Schema, resolver: Resolver) -> Iterator[Schema]:
    keyword = next((each for each in _CHOICES if each in schema), None)
    if keyword:
        rest = {name: value for name, value in schema.items() if name not in {keyword, "discriminator"}}
        for choice in schema[keyword]:
            yield from _split(_both(rest, _tagged(resolver.resolve(choice), schema)), resolver)
    elif len(schema.get("allOf", ())) == 1:
        rest = {name: value for name, value in schema.items() if name != "allOf"}
        yield from _split(_both(rest, resolver.resolve(schema["allOf"][0])), resolver)
    elif "enum" in schema:
        rest = {name: value for name, value in schema.items() if name != "enum"}
        yield from (_of_one_value({**rest, "const": value}) for value in schema["enum"])
    elif isinstance(schema.get("type"), list):
        yield from ({**schema, "type": each} for each in schema["type"])
    else:
        yield _of_one_value(schema) if "const" in schema else schema


def _both(one: Schema, other: Schema) -> Schema:
    """Return the schema of what both accept; pydantic makes no such pair that says different things of one keyword."""
    for name in one.keys() & other.keys() - ANNOTATIONS:
        if one[name] != other[name]:
            raise ContractError(f"the schema says twice what {name} is: {one[name]}, and {other[name]}")
    return {**one, **other}


def _tagged(choice: Schema, schema: Schema) -> Schema:
    """Require the field that tells the choices apart: pydantic finds the choice by it, even if it has a default."""
    tag = schema.get("discriminator", {}).get("propertyName")
    return {**choice, "required": sorted({*choice.get("required", ()), tag})} if tag else choice


def _of_one_value(schema: Schema) -> Schema:
    return {**schema, "type": _TYPES[type(schema["const"])]}
