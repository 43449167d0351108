"""A model whose JSON Schema doesn't show what it reads or writes can't be compared, and so is refused."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from annotated_types import Predicate
from pydantic import (
    AfterValidator,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    PastDate,
    PlainSerializer,
    StringConstraints,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema, WithJsonSchema

from contracts import ContractError, EventData
from contracts.schemas import Schema, schema_of


class Unseen(BaseModel):
    code: str | SkipJsonSchema[None]


class Checked(BaseModel):
    code: str

    @field_validator("code")
    @classmethod
    def upper(cls, code: str) -> str:
        return code.upper()


class Ordered(BaseModel):
    first: int
    last: int

    @model_validator(mode="after")
    def ordered(self) -> "Ordered":
        return self


class Other(BaseModel):
    code: str

    @model_serializer
    def other(self):  # type: ignore[no-untyped-def]  # so that pydantic can't see what it writes
        return {"other": self.code}


class Running(BaseModel):
    code: str

    def model_post_init(self, _: Any) -> None:
        pass


HIDDEN: dict[str, tuple[Any, str]] = {
    "a validator after": (Annotated[int, AfterValidator(abs)], "Shaped.it has a validator"),
    "a validator before": (Annotated[int, BeforeValidator(int)], "Shaped.it has a validator"),
    "a predicate": (Annotated[str, Predicate(str.isupper)], "Shaped.it has a validator"),
    "a validator of a field inside": (tuple[Checked, ...], "Checked.code has a validator"),
    "a validator of a model inside": (Ordered | None, "Shaped.it has a validator"),
    "a serializer": (Annotated[int, PlainSerializer(abs, return_type=int)], "Shaped.it has a serializer"),
    "a serializer of a model": (Other, "Other has a serializer"),
    "code of its own": (Running, "Running has code that runs when it is made"),
    "a time without a zone": (datetime, "Shaped.it may be a time without its zone: use AwareDatetime"),
    "a bound of a date": (Annotated[date, Field(gt=date(2020, 1, 1))], "Shaped.it has a bound"),
    "a bound of a duration": (Annotated[timedelta, Field(ge=timedelta(1))], "Shaped.it has a bound"),
    "a date in the past": (PastDate, "Shaped.it has a bound"),
    "a text that is stripped": (Annotated[str, StringConstraints(strip_whitespace=True)], "Shaped.it is stripped"),
    "an alias that isn't written": (Annotated[int, Field(alias="other")], "read in another form than it is written"),
    "a field that may be left out": (Annotated[int, Field(exclude_if=bool)], "Shaped.it may be left out"),
    "a null that isn't shown": (
        Unseen,
        "Unseen.code has another JSON Schema than its type's",
    ),
    "another schema": (Annotated[int, WithJsonSchema({"type": "string"})], "Shaped.it has another JSON Schema"),
    "a schema that is changed": (Annotated[int, Field(json_schema_extra=dict.clear)], "Shaped.it has another JSON"),
    "numbers as names": (dict[int, str], "Shaped.it is written as text, and must be a number"),
    "a class": (type, "Shaped has no JSON Schema"),
}


def schema(kind: Any, default: Any = ...) -> Schema:
    model = create_model("Shaped", __base__=EventData, it=(kind, default))
    model.event_type, model.version = "shaped", 1
    return schema_of(model)


@pytest.mark.parametrize(("kind", "said"), HIDDEN.values(), ids=HIDDEN)
def test_what_a_schema_does_not_show_is_refused(kind: Any, said: str) -> None:
    with pytest.raises(ContractError) as refused:
        schema(kind)

    assert said in str(refused.value)


@pytest.mark.parametrize("kind", [AwareDatetime, date, timedelta, UUID, AnyUrl, JsonValue, dict[str, tuple[int, ...]]])
def test_types_of_pydantic_are_no_validators_of_ours(kind: Any) -> None:
    assert schema(kind)["properties"]


def test_a_default_may_be_made_by_code() -> None:
    model = create_model("Shaped", __base__=EventData, it=(UUID, Field(default_factory=uuid4)))
    model.event_type, model.version = "shaped", 1

    assert "it" in schema_of(model)["properties"]


def test_what_has_a_default_may_be_left_out() -> None:
    assert schema(Annotated[int | None, Field(exclude_if=lambda value: value is None)], None)


def test_a_default_that_is_no_json_is_refused() -> None:
    with pytest.raises(ContractError, match="has a default that isn't JSON"):
        schema(float, float("nan"))
