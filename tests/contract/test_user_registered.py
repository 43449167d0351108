"""user_registered, version 1: what users-api writes and what every consumer reads is the golden JSON of
libs/contracts/golden.

A golden never changes once it is published: a new version gets a new file, and both stay readable.
"""

import asyncio
import json
import re
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from contracts import Event, InvalidEvent, UnknownEventVersion, UserRegistered, decode
from users_api.pool import Connection
from users_api.registration import Registration, register
from users_api.schemas import NewUser

from .goldens import golden

GOLDEN = golden("user_registered")

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
RFC3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


def changed(**attributes: object) -> dict[str, Any]:
    """Return the golden with other attributes."""
    return GOLDEN | attributes


def with_data(**facts: object) -> dict[str, Any]:
    """Return the golden with other facts in its data."""
    return changed(data=GOLDEN["data"] | facts)


def without(name: str) -> dict[str, Any]:
    """Return the golden without an attribute."""
    return {each: value for each, value in GOLDEN.items() if each != name}


# The producer


def written_by_users_api(database_url: str) -> str:
    """Register the golden's user, and return the envelope as PostgreSQL holds it."""
    new = NewUser(email=GOLDEN["data"]["email"], full_name=GOLDEN["data"]["full_name"])

    async def registering() -> None:
        connection: Connection
        async with await psycopg.AsyncConnection.connect(database_url, row_factory=dict_row) as connection:
            await register(connection, [Registration(new, GOLDEN["correlationid"])])

    asyncio.run(registering())
    with psycopg.connect(database_url) as connection:
        [(envelope,)] = connection.execute("SELECT envelope::text FROM events").fetchall()
    return str(envelope)


def test_users_api_writes_exactly_the_golden(users_database: str) -> None:
    written = json.loads(written_by_users_api(users_database))

    assert UUID7.fullmatch(written["id"])
    assert RFC3339_UTC.fullmatch(written["time"])
    assert RFC3339_UTC.fullmatch(written["data"]["registered_at"])
    pinned = written | {"id": GOLDEN["id"], "time": GOLDEN["time"]}
    pinned["data"] = written["data"] | {"registered_at": GOLDEN["data"]["registered_at"]}
    assert json.dumps(pinned) == json.dumps(GOLDEN), "names, order, types and values"


def test_a_consumer_reads_what_users_api_writes(users_database: str) -> None:
    event = decode(json.loads(written_by_users_api(users_database)), UserRegistered)

    assert (event.subject, event.data.user_id, event.data.email) == ("users/1", 1, GOLDEN["data"]["email"])


# The consumers


def test_a_consumer_reads_the_golden_and_would_write_it_again() -> None:
    event = decode(GOLDEN, UserRegistered)

    assert isinstance(event, Event)
    assert json.loads(event.model_dump_json()) == GOLDEN


def test_what_a_newer_producer_adds_is_ignored() -> None:
    newer = with_data(locale="de") | {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert decode(newer, UserRegistered) == decode(GOLDEN, UserRegistered)


@pytest.mark.parametrize(
    "time", ["2026-03-14T15:09:26Z", "2026-03-14T16:09:26.5+01:00", "2026-03-14T15:09:26.535897+00:00"]
)
def test_a_time_may_be_written_in_any_way_that_rfc_3339_allows(time: str) -> None:
    assert decode(changed(time=time), UserRegistered).time.utcoffset() is not None


@pytest.mark.parametrize("dataschema", ["urn:herald:user_registered:2", "urn:herald:user_deleted:1", "", None, 1, []])
def test_an_unknown_version_is_told_from_a_broken_event(dataschema: object) -> None:
    with pytest.raises(UnknownEventVersion, match="known: urn:herald:user_registered:1"):
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
