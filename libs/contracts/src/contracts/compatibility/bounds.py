"""Bounds of numbers, texts and lists: does what the writer writes lie within the reader's bounds?"""

from collections.abc import Iterator
from typing import Any

from contracts.schemas import Schema

Bound = tuple[Any, int]
"""A value; and 1 or -1 if the bound is exclusive, so that bounds compare as tuples."""

KEYWORDS = frozenset(
    {"exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum"}
)
_LEAST = {"minimum": "", "minLength": " characters", "minItems": " items"}
_MOST = {"maximum": "", "maxLength": " characters", "maxItems": " items"}


def exceeded(writer: Schema, reader: Schema) -> Iterator[tuple[str, str]]:
    """Yield each bound of the reader's that the writer may exceed: what the writer says of it, what the reader says."""
    written, read = _bounds(writer), _bounds(reader)
    for keyword, unit in _LEAST.items():
        if keyword in read and not (keyword in written and written[keyword] >= read[keyword]):
            yield _words("at least", written.get(keyword), unit), _words("at least", read[keyword], unit)
    for keyword, unit in _MOST.items():
        if keyword in read and not (keyword in written and written[keyword] <= read[keyword]):
            yield _words("at most", written.get(keyword), unit), _words("at most", read[keyword], unit)


def _bounds(schema: Schema) -> dict[str, Bound]:
    """Return the bounds of a schema, by keyword; exclusive ones under the keyword of the inclusive one."""
    if "const" in schema:
        return _of_value(schema["const"])
    found = {name: (schema[name], 0) for name in (*_LEAST, *_MOST) if name in schema}
    for side, sign, strictest in (("minimum", 1, max), ("maximum", -1, min)):
        exclusive = f"exclusive{side.capitalize()}"
        if exclusive in schema:
            value = schema[exclusive]
            bound = (value + sign, 0) if schema.get("type") == "integer" else (value, sign)
            found[side] = strictest(bound, found.get(side, bound))
    return found


def _of_value(value: object) -> dict[str, Bound]:
    if isinstance(value, str):
        return dict.fromkeys(("minLength", "maxLength"), (len(value), 0))
    if isinstance(value, list):
        return dict.fromkeys(("minItems", "maxItems"), (len(value), 0))
    return dict.fromkeys(("minimum", "maximum"), (value, 0)) if isinstance(value, int | float) else {}


def _words(side: str, bound: Bound | None, unit: str) -> str:
    if bound is None:
        return "no bound"
    value, exclusive = bound
    return f"{'more than' if exclusive > 0 else 'less than' if exclusive else side} {value}{unit}"
