"""user_registered, in its newest version: what every consumer reads is the golden JSON of libs/contracts/golden.

A golden never changes once it is published: a new version gets a new file, and both stay readable. That users-api
writes exactly the golden: tests/integration/test_users_api_golden.py.
"""

import json
from typing import Any

import pytest

from contracts import Event, InvalidEvent, UnknownEventVersion, UserRegistered, decode

from .goldens import golden

GOLDEN = golden("user_registered")


def changed(**attributes: object) -> dict[str, Any]:
    """Return the golden with other attributes."""
    return GOLDEN | attributes


def with_data(**facts: object) -> dict[str, Any]:
    """Return the golden with other facts in its data."""
    return changed(data=GOLDEN["data"] | facts)


def without(name: str) -> dict[str, Any]:
    """Return the golden without an attribute."""
    return {each: value for each, value in GOLDEN.items() if each != name}


def test_a_consumer_reads_the_golden_and_would_write_it_again() -> None:
    event = decode(GOLDEN, UserRegistered)

    assert isinstance(event, Event)
    assert json.loads(event.model_dump_json()) == GOLDEN


def test_what_a_newer_producer_adds_is_ignored() -> None:
    newer = with_data(of_a_newer_revision="?") | {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    }
    assert decode(newer, UserRegistered) == decode(GOLDEN, UserRegistered)


@pytest.mark.parametrize(
    "time", ["2026-03-14T15:09:26Z", "2026-03-14T16:09:26.5+01:00", "2026-03-14T15:09:26.535897+00:00"]
)
def test_a_time_may_be_written_in_any_way_that_rfc_3339_allows(time: str) -> None:
    assert decode(changed(time=time), UserRegistered).time.utcoffset() is not None


@pytest.mark.parametrize("dataschema", ["urn:herald:user_registered:99", "urn:herald:user_deleted:1", "", None, 1, []])
def test_an_unknown_version_is_told_from_a_broken_event(dataschema: object) -> None:
    with pytest.raises(UnknownEventVersion, match=r"known: .*urn:herald:user_registered:1"):
        decode(changed(dataschema=dataschema), UserRegistered)


def test_an_event_without_a_version_is_unknown() -> None:
    with pytest.raises(UnknownEventVersion):
        decode(without("dataschema"), UserRegistered)


BROKEN = {
    "no id": (without("id"), "id"),
    "an id that is no UUID": (changed(id="secret"), "id"),
    "no type": (without("type"), "type"),
    "another type": (changed(type="secret"), "type"),
    "another specversion": (changed(specversion="secret"), "specversion"),
    "no subject": (without("subject"), "subject"),
    "no correlation id": (without("correlationid"), "correlationid"),
    "a time without offset": (changed(time="2026-03-14T15:09:26"), "time"),
    "data of another content type": (changed(datacontenttype="secret/secret"), "datacontenttype"),
    "no data": (without("data"), "data"),
    "data that is text": (changed(data="secret"), "data"),
    "no email": (changed(data={"user_id": 1}), "data.email"),
    "an email that is a list": (with_data(email=["secret@example.com"]), "data.email"),
    "a name that is null": (with_data(full_name=None), "data.full_name"),
    "a user id that is text": (with_data(user_id="secret"), "data.user_id"),
    "a naive time": (with_data(registered_at="2026-03-14T15:09:26"), "data.registered_at"),
}


@pytest.mark.parametrize(("envelope", "field"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_event_is_refused_naming_the_field_but_no_value(envelope: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode(envelope, UserRegistered)

    assert field in str(refused.value)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_event_that_was_read_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        decode(GOLDEN, UserRegistered).data.email = "other@example.com"  # type: ignore[misc]
