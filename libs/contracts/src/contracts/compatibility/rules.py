"""What a writer may write that a reader refuses, found by comparing two JSON Schemas.

A writer writes the fields that its schema names, and a reader ignores the fields that its own doesn't name. A keyword
that these rules don't know counts as a break when the two sides differ in it: a false alarm costs a new version, and a
false silence costs an outage.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from contracts.compatibility.alternatives import Resolver, alternatives
from contracts.compatibility.bounds import KEYWORDS as BOUNDS
from contracts.compatibility.bounds import exceeded
from contracts.schemas import Schema

ANNOTATIONS = frozenset({"$defs", "$id", "$schema", "default", "deprecated", "description", "examples", "title"})
"""Keywords that accept and refuse nothing."""

_COMPARED = frozenset({"additionalProperties", "const", "enum", "format", "items", "properties", "required", "type"})


class Rule(Enum):
    """The ways in which a reader refuses what is written."""

    MISSING = "the reader requires a field that the writer doesn't have"
    OPTIONAL = "the reader requires a field that the writer may leave out"
    UNKNOWN = "the reader refuses fields that it doesn't know"
    TYPE = "another type"
    VALUES = "a value that the reader doesn't accept"
    FORMAT = "another format"
    BOUND = "beyond a bound of the reader's"
    KEYWORD = "a keyword that can't be compared"


@dataclass(frozen=True)
class Break:
    """A field that the reader refuses. `path`: such as files[].size; empty, if it is the whole.

    `written` and `read`: what each side says there. For a missing field, `written` is the field of the writer that has
    the same schema and is unknown to the reader, because the field may have been renamed; or empty.
    """

    rule: Rule
    path: str
    written: str
    read: str


def breaks(writer: Schema, reader: Schema) -> list[Break]:
    """Return what a writer may write that a reader refuses; nothing, if the two may be deployed together.

    Raises:
        ContractError: a schema refers to a definition that it doesn't have.
    """
    return list(_Comparison(Resolver(writer), Resolver(reader)).compare(writer, reader, ""))


class _Comparison:
    def __init__(self, writer: Resolver, reader: Resolver) -> None:
        self._writer = writer
        self._reader = reader
        self._open: list[tuple[Schema, Schema]] = []

    def compare(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        """Yield the breaks of each alternative of the writer that no alternative of the reader accepts."""
        accepted = alternatives(read, self._reader)
        for one in alternatives(written, self._writer):
            tries = [list(self._one(one, other, path)) for other in accepted]
            yield from min(tries, key=lambda found: (any(each.path == path for each in found), len(found)))

    def _one(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        """Compare two schemas without alternatives."""
        if (written, read) in self._open:  # a model that contains itself
            return
        self._open.append((written, read))
        yield from self._keywords(written, read, path)
        self._open.pop()

    def _keywords(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        if not _types(written) <= _accepted_types(read):
            yield Break(Rule.TYPE, path, _name(_types(written)), _name(_types(read)))
            return
        if "const" in read:
            if "const" not in written or not _same(written["const"], read["const"]):
                yield Break(Rule.VALUES, path, _value(written), _value(read))
            return
        if "format" in read and written.get("format") != read["format"] and "const" not in written:
            yield Break(Rule.FORMAT, path, written.get("format", "any text"), read["format"])
        for wide, narrow in exceeded(written, read):
            yield Break(Rule.BOUND, path, wide, narrow)
        for keyword in sorted(read.keys() - ANNOTATIONS - _COMPARED - BOUNDS):
            if written.get(keyword) != read[keyword]:
                yield Break(Rule.KEYWORD, path, f"{keyword} {written.get(keyword)}", f"{keyword} {read[keyword]}")
        if "object" in _types(written):
            yield from self._fields(written, read, path)
        if "items" in read:
            yield from self.compare(_schema(written.get("items", {})), _schema(read["items"]), f"{path}[]")

    def _fields(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        ours, theirs = written.get("properties", {}), read.get("properties", {})
        for name in read.get("required", ()):
            if name not in ours:
                yield Break(Rule.MISSING, _join(path, name), _renamed(theirs.get(name, {}), ours, theirs), "required")
            elif name not in written.get("required", ()):
                yield Break(Rule.OPTIONAL, _join(path, name), "optional", "required")
        for name, field in ours.items():
            if name in theirs:
                yield from self.compare(_schema(field), _schema(theirs[name]), _join(path, name))
            else:
                yield from self._other(_schema(field), read.get("additionalProperties", True), _join(path, name))
        more = written.get("additionalProperties", False)
        if more is not False and "additionalProperties" in read:
            yield from self._other(_schema(more), read["additionalProperties"], f"{path}{{}}")

    def _other(self, written: Schema, read: object, path: str) -> Iterator[Break]:
        """Compare a field that the reader has no name for with what it says of such fields."""
        if read is False:
            yield Break(Rule.UNKNOWN, path, "written", "refused")
        elif isinstance(read, dict):
            yield from self.compare(written, read, path)


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
    if name in {"properties", "$defs"}:  # the names in it are fields and definitions, not keywords
        return {each: structure(schema) for each, schema in value.items()}
    return value if name in {"default", "const", "enum", "required"} else structure(value)


def _renamed(field: Schema, ours: Mapping[str, Schema], theirs: Mapping[str, Schema]) -> str:
    same = (name for name, schema in ours.items() if name not in theirs and structure(schema) == structure(field))
    return next(same, "")


def _schema(value: Any) -> Schema:
    """Return a schema as an object: `true` accepts all, and `false`, which can't be written, nothing."""
    return value if isinstance(value, dict) else {}


ALL = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def _types(schema: Schema) -> frozenset[str]:
    return frozenset({schema["type"]}) if "type" in schema else ALL


def _accepted_types(schema: Schema) -> frozenset[str]:
    types = _types(schema)
    return types | {"integer"} if "number" in types else types


def _name(types: frozenset[str]) -> str:
    return "any type" if types == ALL else ", ".join(sorted(types))


def _value(schema: Schema) -> str:
    return repr(schema["const"]) if "const" in schema else "any value"


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
