"""The consumers' side of the pacts: each effect needs what its pact states, and nothing else."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

from contracts import Event, EventData, Subscription, decode

from .pact_effects import effect
from .pact_files import COMMAND, pact_of
from .pact_readings import OWN, READINGS, REPORT, Field, example, fields, parent_of

Effect = Subscription[EventData]
Model = TypeVar("Model", bound=BaseModel)

DECODED = {("type",), ("dataschema",)}
"""What decoding needs: test_user_registered.py shows it. The worker's code gets an event that was decoded."""


def whole(subscription: Effect) -> Event[EventData]:
    return decode(example(subscription.event_type), subscription.event)


def bare(model: Model, stated: Mapping[str, Any]) -> Model:
    """Return a copy that has the stated fields alone. To read any other raises AttributeError."""
    copied = model.model_copy()
    vars(copied).clear()
    vars(copied).update({name: _part(value, stated[name]) for name, value in vars(model).items() if name in stated})
    return copied


def _part(value: Any, stated: Any) -> Any:
    if isinstance(value, BaseModel):
        return bare(value, stated)
    if isinstance(value, tuple):
        return tuple(bare(each, part) for each, part in zip(value, stated, strict=True))
    return value


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path)


def make_store(folder: Path) -> Path:
    """Make a report store with the file to which the example of `report_ready` refers."""
    [file] = example("report_ready")["data"]["files"]
    (folder / file["path"]).write_bytes(REPORT)
    return folder


@pytest.fixture(scope="module")
def intended(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Effect], object]:
    """Return the effect of what a pact states, which is caused once for each subscription."""

    @cache
    def cause(subscription: Effect) -> object:
        store = make_store(tmp_path_factory.mktemp("store"))
        return effect(subscription.name, bare(whole(subscription), stated_by(subscription)), store)

    return cause


def stated_by(subscription: Effect) -> dict[str, Any]:
    """Return the message of the subscription's pact, as Pact gives it to a consumer."""
    messages: list[dict[str, Any]] = []
    pact = pact_of(subscription.service, "any publisher", [subscription])
    pact.verify(lambda body, _: messages.append(json.loads(body or "")), "Async")
    [message] = messages
    return message


@pytest.mark.parametrize("subscription", OWN, ids=lambda each: each.name)
def test_what_the_pact_states_is_enough_for_the_effect(subscription: Effect, store: Path) -> None:
    event = bare(whole(subscription), stated_by(subscription))

    try:
        found = effect(subscription.name, event, store)
    except AttributeError as error:
        pytest.fail(f"{subscription.name} reads `{error.name}`: add it to pact_readings.READINGS, then run {COMMAND}")

    assert found == effect(subscription.name, whole(subscription), store)


STATED = [
    pytest.param(each, path, id=f"{each.name}-{'.'.join(map(str, path))}")
    for each in OWN
    for path in fields(READINGS.get(each.name, {}))
    if path not in DECODED
]


@pytest.mark.parametrize(("subscription", "path"), STATED)
def test_without_a_field_that_the_pact_states_the_effect_is_another_or_none(
    subscription: Effect, path: Field, store: Path, intended: Callable[[Effect], object]
) -> None:
    stated = stated_by(subscription)
    del parent_of(stated, path)[path[-1]]

    try:
        found = effect(subscription.name, bare(whole(subscription), stated), store)
    except AttributeError as error:
        found = error

    assert found != intended(subscription), "the effect doesn't read it: take it out of pact_readings.READINGS"
    assert not isinstance(found, AttributeError) or found.name == path[-1], found
