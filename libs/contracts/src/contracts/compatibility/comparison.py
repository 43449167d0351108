"""What a writer may write that a reader refuses, found by comparing two JSON Schemas.

A writer writes the fields that its schema names, and a reader ignores the fields that its own doesn't name. A keyword
that these rules don't know counts as a break when the two sides differ in it: a false alarm costs a new version, and a
false silence costs an outage.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from contracts.compatibility.alternatives import Resolver, alternatives
from contracts.compatibility.bounds import KEYWORDS as BOUNDS
from contracts.compatibility.bounds import exceeded
from contracts.compatibility.rules import Break, Rule
from contracts.compatibility.structure import ANNOTATIONS, structure
from contracts.compatibility.types import accepted_types, name_of, types_of
from contracts.errors import ContractError
from contracts.schemas import Schema

_COMPARED = frozenset(
    {
        "additionalProperties",
        "const",
        "enum",
        "format",
        "items",
        "patternProperties",
        "prefixItems",
        "properties",
        "propertyNames",
        "required",
        "type",
    }
)


def breaks(writer: Schema, reader: Schema) -> list[Break]:
    """Return what a writer may write that a reader refuses; nothing, if the two may be deployed together.

    Raises:
        ContractError: a schema refers to a definition that it doesn't have, or isn't sound.
    """
    try:
        return _breaks(writer, reader)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:  # by a file that isn't ours
        raise ContractError(f"a schema of {writer.get('$id')} isn't a sound JSON Schema: {error!r}") from None


def _breaks(writer: Schema, reader: Schema) -> list[Break]:
    comparison = _Comparison(Resolver(writer), Resolver(reader))
    while True:
        found = list(comparison.compare(writer, reader, ""))
        if not comparison.learned():
            return [each for each in found if each.rule is not Rule.INNER] or found


_MOST = 20
"""How many breaks of one pair of schemas are listed. The paths through models that contain each other are countless."""


class _Comparison:
    """Compares two schemas in rounds, because a model may contain itself.

    A pair of schemas inside itself is taken for compatible, unless an earlier round has shown that it isn't. The last
    round is the one that learns nothing. In a round each pair is compared once, so models that contain each other don't
    take exponential time.
    """

    def __init__(self, writer: Resolver, reader: Resolver) -> None:
        self._writer = writer
        self._reader = reader
        self._incompatible: set[str] = set()
        self._compared: dict[str, list[Break] | None] = {}

    def learned(self) -> bool:
        """End a round; return whether it found pairs incompatible that weren't known to be."""
        found = {pair for pair, breaks in self._compared.items() if breaks}
        new = not found <= self._incompatible
        self._incompatible |= found
        self._compared.clear()
        return new

    def compare(self, written: object, read: object, path: str) -> Iterator[Break]:
        """Yield the breaks of each alternative of the writer that no alternative of the reader accepts."""
        if written is False:
            return
        if read is False:
            yield Break(Rule.UNKNOWN, path, "written", "refused")
            return
        accepted = alternatives(_schema(read), self._reader)
        for one in alternatives(_schema(written), self._writer):
            tries = [list(self._one(one, other, path)) for other in accepted]
            yield from min(tries, key=lambda found: (any(each.path == path for each in found), len(found)))

    def _one(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        """Compare two schemas without alternatives, once in a round."""
        pair = json.dumps([written, read])
        if pair not in self._compared:
            self._compared[pair] = None  # until it is known
            self._compared[pair] = list(islice(self._keywords(written, read, ""), _MOST))
        found = self._compared[pair]
        if found is None and pair in self._incompatible:
            found = [Break(Rule.INNER, "", "", "")]
        yield from (replace(each, path=_join(path, each.path)) for each in found or ())

    def _keywords(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        if not types_of(written) <= accepted_types(read):
            yield Break(Rule.TYPE, path, name_of(types_of(written)), name_of(types_of(read)))
            return
        if "const" in read:
            if "const" not in written or not _same(written["const"], read["const"]):
                yield Break(Rule.VALUES, path, _value(written), _value(read))
            return
        if "format" in read and written.get("format") != read["format"] and "string" in types_of(written):
            yield Break(Rule.FORMAT, path, written.get("format", "any text"), read["format"])
        for wide, narrow in exceeded(written, read):
            yield Break(Rule.BOUND, path, wide, narrow)
        for keyword in sorted(read.keys() - ANNOTATIONS - _COMPARED - BOUNDS):
            if not self._equal(written.get(keyword), read[keyword]):
                yield Break(Rule.KEYWORD, path, f"{keyword} {written.get(keyword)}", f"{keyword} {read[keyword]}")
        if "object" in types_of(written):
            yield from self._fields(written, read, path)
            yield from self._other_fields(written, read, path)
        if "array" in types_of(written):
            yield from self._items(written, read, path)

    def _equal(self, written: object, read: object) -> bool:
        """Compare values of a keyword that these rules don't know; so what they refer to must be equal too."""
        defined = self._writer.definitions, self._reader.definitions
        refers = "$ref" in str(read) and structure(defined[0]) != structure(defined[1])
        return structure(written) == structure(read) and not refers

    def _fields(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        ours, theirs = written.get("properties", {}), read.get("properties", {})
        for name in read.get("required", ()):
            if name not in ours:
                yield Break(Rule.MISSING, _join(path, name), _renamed(theirs.get(name, {}), ours, theirs), "required")
            elif name not in written.get("required", ()):
                yield Break(Rule.OPTIONAL, _join(path, name), "optional", "required")
        for name, field in ours.items():
            expected = theirs.get(name, read.get("additionalProperties", True))
            yield from self.compare(field, expected, _join(path, name))
            yield from self.compare({"const": name}, read.get("propertyNames", True), _join(path, name))

    def _other_fields(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        """Compare the fields that the writer has no names for, such as those of a `dict`."""
        patterns = written.get("patternProperties", {})
        others = {**patterns, "": written.get("additionalProperties", False)}
        expected = {**read.get("patternProperties", {}), "": read.get("additionalProperties", True)}
        for pattern, schema in others.items():
            yield from self.compare(schema, expected.get(pattern, expected[""]), f"{path}{{}}")
            for name in read.get("properties", {}).keys() - written.get("properties", {}).keys():
                yield from self.compare(schema, read["properties"][name], _join(path, name))
        names = {"type": "string", **written.get("propertyNames", {})}
        if others != {"": False}:
            yield from self.compare(names, read.get("propertyNames", True), f"{path}{{}}")
        for pattern in expected.keys() - others.keys():
            yield Break(Rule.KEYWORD, path, "other names", f"patternProperties {pattern}")

    def _items(self, written: Schema, read: Schema, path: str) -> Iterator[Break]:
        places = max(len(written.get("prefixItems", ())), len(read.get("prefixItems", ())))
        most = written.get("maxItems", places + 1)
        for place in range(min(places, most)):
            yield from self.compare(_item(written, place), _item(read, place), f"{path}[{place}]")
        if most > places:
            yield from self.compare(written.get("items", True), read.get("items", True), f"{path}[]")


def _item(schema: Schema, place: int) -> object:
    first = schema.get("prefixItems", ())
    return first[place] if place < len(first) else schema.get("items", True)


def _renamed(field: Schema, ours: Mapping[str, Schema], theirs: Mapping[str, Schema]) -> str:
    same = (name for name, schema in ours.items() if name not in theirs and structure(schema) == structure(field))
    return next(same, "")


def _schema(value: object) -> Schema:
    """Return a schema as an object: `true` accepts all."""
    if not isinstance(value, dict) and value is not True:
        raise TypeError(f"{value!r} is no schema")
    return value if isinstance(value, dict) else {}


def _value(schema: Schema) -> str:
    return repr(schema["const"]) if "const" in schema else "any value"


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name and name[0] not in "[{" else path + name
