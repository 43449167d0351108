"""Each event's name says one model and one file."""

from typing import ClassVar

import pytest

from contracts import ContractError, EventData, schemas


class Moved(EventData):
    event_type: ClassVar[str] = "moved"
    version: ClassVar[int] = 1


class Nameless(EventData):
    pass


class Copied(EventData):
    event_type: ClassVar[str] = "moved"
    version: ClassVar[int] = 1


def test_two_models_of_one_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second would be published in place of the first."""
    monkeypatch.setattr(schemas, "EVENTS", (Moved, Copied))
    monkeypatch.setattr(schemas, "PUBLISHERS", {})

    with pytest.raises(ContractError, match="Moved and Copied are both urn:herald:moved:1"):
        schemas.all_schemas()


@pytest.mark.parametrize(
    ("event_type", "version"),
    [("user-moved", 1), ("UserMoved", 1), ("user:moved", 1), ("envelope", 1), ("", 1), ("moved", 0)],
)
def test_a_name_that_makes_no_file_is_refused(event_type: str, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file would never be read, so that each change would pass."""
    model = type("Named", (EventData,), {"__module__": __name__})
    monkeypatch.setattr(model, "event_type", event_type, raising=False)
    monkeypatch.setattr(model, "version", version, raising=False)
    monkeypatch.setattr(schemas, "EVENTS", (model,))

    with pytest.raises(ContractError, match="Named can't be published as"):
        schemas.all_schemas()


def test_a_model_without_a_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "EVENTS", (Nameless,))

    with pytest.raises(ContractError, match="Nameless can't be published as '', version 0"):
        schemas.all_schemas()


def test_what_a_service_publishes_is_among_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "PUBLISHERS", {"users-api": (Moved,)})

    with pytest.raises(ContractError, match="users-api publishes Moved, which isn't in EVENTS"):
        schemas.all_schemas()
