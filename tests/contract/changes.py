"""Changes of one contract: those that break it, with what is said of each, and those that are harmless."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from contracts import EventData


class Part(BaseModel):
    """A part of an order."""

    model_config = ConfigDict(extra="ignore")

    code: str
    weight: float = Field(ge=0)


FIELDS: dict[str, Any] = {
    "order_id": (int, ...),
    "customer": (str, ...),
    "status": (Literal["paid", "open", "late"], ...),
    "placed_at": (AwareDatetime, ...),
    "total": (Annotated[int, Field(ge=0, le=1000)], ...),
    "code": (Annotated[str, Field(max_length=20, pattern="^[A-Z]*$")], ...),
    "parts": (Annotated[tuple[Part, ...], Field(max_length=5)], ...),
    "note": (str | None, None),
    "rate": (float, 1.0),
}
"""The contract as it is published: order_placed 1."""


def order(**changed: Any) -> type[EventData]:
    """Return the model with other fields; a field that is given as None is removed."""
    fields = {name: field for name, field in {**FIELDS, **changed}.items() if field is not None}
    model = create_model("OrderPlaced", __base__=EventData, **fields)
    model.event_type, model.version = "order_placed", 1
    return model


def part(**changed: Any) -> dict[str, Any]:
    """Return the change of the parts' fields."""
    fields = {"code": (str, ...), "weight": (Annotated[float, Field(ge=0)], ...), **changed}
    fields = {name: field for name, field in fields.items() if field is not None}
    model = create_model("Part", __config__=ConfigDict(extra="ignore"), **fields)
    return {"parts": (Annotated[tuple[model, ...], Field(max_length=5)], ...)}


class Strict(EventData):
    """A base whose models refuse what they don't know."""

    model_config = ConfigDict(extra="forbid")


PUBLISHED = order()

BREAKING: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a field is removed": ({"customer": None}, ("customer is removed",)),
    "a field is renamed": (
        {"customer": None, "client": (str, ...)},
        ("customer is removed (renamed to client?)", "client is new and required (renamed from customer?)"),
    ),
    "a new field is required": ({"country": (str, ...)}, ("country is new and required",)),
    "an optional field becomes required": ({"note": (str | None, ...)}, ("note has become required",)),
    "a required field becomes optional": ({"customer": (str, "")}, ("customer has become optional",)),
    "a type is changed": (
        {"order_id": (str, ...)},
        ("order_id may be string, was integer", "order_id must be string, may have been integer"),
    ),
    "a type is narrowed": ({"rate": (int, 1)}, ("rate must be integer, may have been number",)),
    "a type is widened": (
        {"total": (Annotated[float, Field(ge=0, le=1000)], ...)},
        ("total may be number, was integer",),
    ),
    "a field can be null": ({"customer": (str | None, ...)}, ("customer may be null, was string",)),
    "a field can no longer be null": ({"note": (str, "")}, ("note must be string, may have been null",)),
    "one value becomes a list": (
        {"customer": (tuple[str, ...], ...)},
        ("customer may be array, was string", "customer must be array, may have been string"),
    ),
    "an enumeration loses a value": ({"status": (Literal["paid", "open"], ...)}, ("status may no longer be 'late'",)),
    "an enumeration gains a value": (
        {"status": (Literal["paid", "open", "late", "lost"], ...)},
        ("status may be 'lost'",),
    ),
    "an enumeration becomes free text": ({"status": (str, ...)}, ("status may be any value",)),
    "a format is changed": (
        {"placed_at": (Annotated[str, Field(json_schema_extra={"format": "date"})], ...)},
        (
            "placed_at has another format: date, was date-time",
            "placed_at must have another format: date, was date-time",
        ),
    ),
    "a format is given up": ({"placed_at": (str, ...)}, ("placed_at has another format: any text, was date-time",)),
    "a maximum is lowered": (
        {"total": (Annotated[int, Field(ge=0, le=500)], ...)},
        ("total has a tighter bound: at most 500, was at most 1000",),
    ),
    "a maximum is raised": (
        {"total": (Annotated[int, Field(ge=0, le=2000)], ...)},
        ("total has a wider bound: at most 2000, was at most 1000",),
    ),
    "a minimum is raised": (
        {"total": (Annotated[int, Field(gt=0, le=1000)], ...)},
        ("total has a tighter bound: at least 1, was at least 0",),
    ),
    "a bound is given up": (
        {"total": (Annotated[int, Field(ge=0)], ...)},
        ("total has a wider bound: no bound, was at most 1000",),
    ),
    "a text must be shorter": (
        {"code": (Annotated[str, Field(max_length=10, pattern="^[A-Z]*$")], ...)},
        ("code has a tighter bound: at most 10 characters, was at most 20 characters",),
    ),
    "a list must not be empty": (
        {"parts": (Annotated[tuple[Part, ...], Field(min_length=1, max_length=5)], ...)},
        ("parts has a tighter bound: at least 1 items, was no bound",),
    ),
    "a pattern is changed": (
        {"code": (Annotated[str, Field(max_length=20, pattern="^[A-Z0-9]*$")], ...)},
        (
            "code has pattern ^[A-Z0-9]*$, had pattern ^[A-Z]*$",
            "code must have pattern ^[A-Z0-9]*$, had pattern ^[A-Z]*$",
        ),
    ),
    "a field of a part is removed": (part(weight=None), ("parts[].weight is removed",)),
    "a part gets a required field": (part(colour=(str, ...)), ("parts[].colour is new and required",)),
    "a bound within a part is tightened": (
        part(weight=(Annotated[float, Field(gt=0)], ...)),
        ("parts[].weight has a tighter bound: more than 0, was at least 0",),
    ),
}
"""A change, and what is said of it, in this order."""

HARMLESS: dict[str, dict[str, Any]] = {
    "a new field has a default": {"country": (str, "de")},
    "a new field can be null": {"country": (str | None, None)},
    "a new list may be empty": {"tags": (tuple[str, ...], ())},
    "a new part may be left out": {"gift": (Part | None, None)},
    "a part gets a field with a default": part(colour=(str, "")),
    "a default is changed": {"rate": (float, 2.0)},
    "an optional field is removed": {"note": None},
    "a field is described": {"customer": (Annotated[str, Field(description="Who ordered.", title="Buyer")], ...)},
    "a field has examples": {"customer": (Annotated[str, Field(examples=["Maya"])], ...)},
    "a bound is written in another way": {"total": (Annotated[int, Field(gt=-1, lt=1001)], ...)},
    "the values are in another order": {"status": (Literal["late", "open", "paid"], ...)},
    "the fields are in another order": dict(reversed(FIELDS.items())),
}


class Renamed(BaseModel):
    """The part under another name."""

    model_config = ConfigDict(extra="ignore")

    code: str
    weight: float = Field(ge=0)


HARMLESS["the model of a part has another name"] = {"parts": (Annotated[tuple[Renamed, ...], Field(max_length=5)], ...)}
