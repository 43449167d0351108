"""What breaks a contract and what doesn't: each change against the published version, by our rules and by others.

Our rules compare schemas. Two oracles check them: jsoncompat compares the same schemas, and Hypothesis makes instances
of one version and reads them with the other.
"""

import json
from collections.abc import Iterator
from typing import Any

import jsoncompat
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from pydantic import ValidationError

from contracts import EventData
from contracts.compatibility.check import breaking
from contracts.compatibility.comparison import breaks
from contracts.compatibility.findings import Finding
from contracts.compatibility.published import Revision
from contracts.schemas import Schema, schema_of

from .changes import BREAKING, HARMLESS, PUBLISHED, order
from .instances import instances

BASE = Revision("order_placed", 1, 0, schema_of(PUBLISHED))
IGNORED_BY_JSONCOMPAT = {"a format is changed", "a format is given up", "a pattern is changed"}

quick = settings(
    deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], derandomize=True, max_examples=300
)


def found(model: type[EventData], *published: Revision) -> list[Finding]:
    return breaking({model.schema_uri(): schema_of(model)}, published or (BASE,))


@pytest.mark.parametrize(("change", "says"), BREAKING.values(), ids=BREAKING)
def test_a_breaking_change_is_refused_with_its_own_words(change: dict[str, Any], says: tuple[str, ...]) -> None:
    findings = found(order(**change))

    assert tuple(f"{each.field} {each.change}" for each in findings) == says
    for each in findings:
        assert each.about == "order_placed 1"
        assert "1.0" in each.breaks
        assert "leave version 1 as it is, and add version 2 with an upcast" in each.instead


def test_each_breaking_change_has_words_of_its_own() -> None:
    said = [words for _, says in BREAKING.values() for words in says]
    assert len(said) == len(set(said))
    assert len(BREAKING) >= 15


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_change_passes(change: dict[str, Any]) -> None:
    assert found(order(**change)) == []
    assert len(HARMLESS) >= 8


# The oracles


def written(schema: Any) -> Any:
    """Return the schema of what is really written: a producer writes no field that its model doesn't have."""
    if isinstance(schema, list):
        return [written(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: value if name == "required" else written(value) for name, value in schema.items()}
    return closed | ({"additionalProperties": False} if schema.get("type") == "object" else {})


def plain(model: type[EventData]) -> Schema:
    """Return a model's schema without what only names it."""
    return {name: value for name, value in schema_of(model).items() if name not in {"$id", "$schema"}}


def accepted_by_jsoncompat(writer: Schema, reader: Schema) -> bool:
    return jsoncompat.check_compat(json.dumps(written(writer)), json.dumps(reader), "deserializer")


def reads(model: type[EventData], instance: object) -> bool:
    try:
        model.model_validate(instance)
    except ValidationError:
        return False
    return True


def read_all(writer: type[EventData], reader: type[EventData]) -> None:
    @settings(quick, max_examples=15)
    @given(instances(plain(writer)))
    def check(instance: object) -> None:
        assert reads(reader, instance)

    check()


def directions(change: dict[str, Any]) -> Iterator[tuple[type[EventData], type[EventData]]]:
    """Yield the writer and the reader of both directions."""
    model = order(**change)
    yield model, PUBLISHED
    yield PUBLISHED, model


@pytest.mark.parametrize("name", [name for name in BREAKING if name not in IGNORED_BY_JSONCOMPAT])
def test_jsoncompat_finds_what_breaks_in_the_same_directions(name: str) -> None:
    for writer, reader in directions(BREAKING[name][0]):
        assert accepted_by_jsoncompat(plain(writer), plain(reader)) == (not breaks(plain(writer), plain(reader)))


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_jsoncompat_finds_nothing_in_a_harmless_change(change: dict[str, Any]) -> None:
    assert all(accepted_by_jsoncompat(plain(writer), plain(reader)) for writer, reader in directions(change))


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_after_a_harmless_change_each_side_reads_what_the_other_writes(change: dict[str, Any]) -> None:
    for writer, reader in directions(change):
        read_all(writer, reader)


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_change_has_an_instance_that_shows_it(name: str) -> None:
    """Not so in both directions where formats and patterns differ: whether one lies within the other isn't compared."""
    shown = [
        is_refused(writer, reader)
        for writer, reader in directions(BREAKING[name][0])
        if breaks(plain(writer), plain(reader))
    ]
    assert any(shown) if name in IGNORED_BY_JSONCOMPAT else shown and all(shown)


def is_refused(writer: type[EventData], reader: type[EventData]) -> bool:
    """Return whether something is found that the writer may write and the reader refuses."""
    try:
        find(instances(plain(writer)), lambda each: not reads(reader, each), settings=quick)
    except NoSuchExample:
        return False
    return True


# Any two schemas

SCALARS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "maxLength": 3},
    {"type": "string", "minLength": 2},
    {"enum": ["a", "b"], "type": "string"},
    {"const": "a", "type": "string"},
    {"type": "integer"},
    {"type": "integer", "minimum": 0},
    {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
    {"type": "number"},
    {"type": "number", "maximum": 9.5},
    {"type": "boolean"},
    {"type": "null"},
]


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.dictionaries(st.sampled_from("abc"), inner, max_size=3), st.sets(st.sampled_from("abc"))).map(
        lambda each: {"type": "object", "properties": each[0], "required": sorted(each[1] & each[0].keys())}
    )


fields = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda each: {"anyOf": each}),
        st.tuples(inner, st.integers(0, 2)).map(lambda each: {"type": "array", "items": each[0], "minItems": each[1]}),
        objects(inner),
    ),
    max_leaves=3,
)


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(objects(fields), objects(fields))
def test_jsoncompat_and_our_rules_agree_on_any_two_schemas(writer: Schema, reader: Schema) -> None:
    assert accepted_by_jsoncompat(writer, reader) == (not breaks(writer, reader))


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(objects(fields))
def test_a_schema_is_compatible_with_itself(schema: Schema) -> None:
    assert breaks(schema, schema) == []
