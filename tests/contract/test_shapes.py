"""Fields of the shapes that pydantic models have: what a writer of one writes, may a reader of the other refuse it?"""

import enum
import sys
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from contracts import ContractError, EventData
from contracts.compatibility.comparison import breaks
from contracts.compatibility.rules import Break
from contracts.schemas import schema_of


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


class LoudDog(Dog):
    barks: bool


class DefaultCat(BaseModel):
    kind: Literal["cat"] = "cat"


class DefaultDog(BaseModel):
    kind: Literal["dog"] = "dog"


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Red(enum.StrEnum):
    RED = "red"


class Number(BaseModel):
    a: int = 0


class Text(BaseModel):
    a: str = ""


class StrictText(Text):
    model_config = ConfigDict(extra="forbid")


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


Red.__name__ = Red.__qualname__ = "Colour"  # so that only the definitions differ, not the references to them
Text.__name__ = "Number"
Key = Annotated[str, Field(pattern="^a")]


def tagged(*choices: Any) -> Any:
    union: Any = choices[0]
    for choice in choices[1:]:
        union |= choice
    return Annotated[union, Field(discriminator="kind")]


def found(writer: Any, reader: Any) -> list[Break]:
    schemas = []
    for kind in (writer, reader):
        model = create_model("Shaped", __base__=EventData, it=(kind, ...))
        model.event_type, model.version = "shaped", 1
        schemas.append(schema_of(model))
    return breaks(*schemas)


REFUSED: dict[str, tuple[Any, Any]] = {
    "a model in a fixed tuple": (tuple[Number, str], tuple[Text, str]),
    "a place of a fixed tuple": (tuple[int, str], tuple[int, int]),
    "a fixed tuple and a list": (tuple[int, str], list[int]),
    "a list and a fixed tuple": (list[int], tuple[int, int]),
    "the names in a dict, as an enumeration": (dict[Colour, int], dict[Red, int]),
    "any names in a dict": (dict[str, int], dict[Colour, int]),
    "the values in a dict": (dict[str, int], dict[str, str]),
    "the values of names with a pattern": (dict[Key, Number], dict[Key, Text]),
    "the values of any names": (dict[Key, int], dict[str, str]),
    "a dict and a model": (dict[str, int], Text),
    "a dict of a pattern and a model": (dict[Key, int], StrictText),
    "unknown fields that become known": (Anything, Text),
    "a text and a date": (Literal["tomorrow"], Annotated[str, Field(json_schema_extra={"format": "date"})]),
    "a choice that changes": (tagged(Cat, Dog), tagged(Cat, LoudDog)),
    "a choice that is lost": (tagged(Cat, Dog), Cat),
    "a choice without its tag": (DefaultCat | DefaultDog, tagged(DefaultCat, DefaultDog)),
    "a list and a set": (list[int], set[int]),
    "any value": (Any, int),
}

ACCEPTED: dict[str, tuple[Any, Any]] = {
    "a fixed tuple and a list": (tuple[int, int], list[int]),
    "a fixed tuple": (tuple[Number, str], tuple[Number, str]),
    "names in a dict": (dict[Red, int], dict[Colour, int]),
    "names with a pattern": (dict[Key, int], dict[str, int]),
    "the same names with a pattern": (dict[Key, Number], dict[Key, Number]),
    "a choice": (Cat, tagged(Cat, Dog)),
    "a choice with more fields": (tagged(Cat, LoudDog), tagged(Cat, Dog)),
    "a tag with a default": (tagged(DefaultCat, DefaultDog), tagged(DefaultCat, DefaultDog)),
    "a set and a list": (set[int], list[int]),
    "numbers of a list": (Literal[1, 2], int),
    "any value": (int, Any),
}


@pytest.mark.parametrize(("writer", "reader"), REFUSED.values(), ids=REFUSED)
def test_what_the_reader_may_refuse_is_found(writer: Any, reader: Any) -> None:
    assert found(writer, reader)
    assert not found(writer, writer)
    assert not found(reader, reader)


@pytest.mark.parametrize(("writer", "reader"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_the_reader_accepts_is_no_break(writer: Any, reader: Any) -> None:
    assert not found(writer, reader)


def expressions(value: str, kinds: int = 8) -> Any:
    """Return a union of models that contain each other."""
    module = ModuleType(f"expressions_of_{value}")
    sys.modules[module.__name__] = module  # where pydantic looks for the union's name
    fields: dict[str, Any] = {"value": (value, ...), "inner": ("Expression | None", None)}
    tags: list[Any] = [Literal[f"{number}"] for number in range(kinds)]
    models = [
        create_model(f"Kind{number}", __module__=module.__name__, kind=(tag, ...), **fields)
        for number, tag in enumerate(tags)
    ]
    module.__dict__["Expression"] = tagged(*models)
    for model in models:
        model.model_rebuild(_types_namespace=module.__dict__)
    return module.__dict__["Expression"]


def test_models_that_contain_each_other_are_compared_in_no_time() -> None:
    """Following each path through eight of them takes hours."""
    assert not found(expressions("int"), expressions("int"))
    assert {each.path for each in found(expressions("int"), expressions("str"))} >= {"it.value"}


@pytest.mark.parametrize(
    "schema",
    [
        {"required": ["a"], "anyOf": [{"required": ["b"]}]},
        {"minimum": 1, "$ref": "#/$defs/X", "$defs": {"X": {"minimum": 2}}},
        {"anyOf": []},
    ],
)
def test_what_the_rules_cannot_combine_is_no_yes(schema: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        breaks(schema, {})


def test_models_that_contain_each_other_are_not_taken_for_compatible_for_ever() -> None:
    """`Inner` fits only if `Outer` does; that `Outer` doesn't may be hidden, where another choice accepts it."""

    def schema(*required: str) -> dict[str, Any]:
        outer = {"properties": {"inner": {"$ref": "#/$defs/Inner"}, "name": {"type": "string"}}, "required": required}
        inner = {"properties": {"outer": {"$ref": "#/$defs/Outer"}}}
        definitions = {"Outer": {"type": "object", **outer}, "Inner": {"type": "object", **inner}}
        first = {"anyOf": [{"$ref": "#/$defs/Outer"}, {"type": "object", "title": "Anything"}]}
        fields = {"first": first, "second": {"$ref": "#/$defs/Inner"}}
        return {"type": "object", "properties": fields, "$defs": definitions}

    assert not breaks(schema(), schema())
    assert [each.path for each in breaks(schema(), schema("name"))] == ["second.outer"]
