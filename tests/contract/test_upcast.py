"""A worked version 2 of user_registered: a field has another name, and there is a new one that must be filled.

The new model would take the name UserRegistered, and the old one become UserRegisteredV1. Events of version 1 stay in
databases and queues, so a consumer that knows version 2 reads both. A consumer that knows only version 1 refuses
version 2: the delivery fails with UnknownEventVersion, and is replayed after the upgrade.
"""

import json
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from pydantic import AwareDatetime

from contracts import Event, EventData, InvalidEvent, Subscription, UnknownEventVersion, decode
from contracts.subscriptions import WELCOME_EMAIL

from . import goldens


class UserRegisteredV1(EventData):
    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 1

    user_id: int
    email: str
    full_name: str
    registered_at: AwareDatetime


class UserRegisteredV2(EventData):
    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 2
    predecessor: ClassVar[type[EventData] | None] = UserRegisteredV1

    user_id: int
    email: str
    name: str
    registered_at: AwareDatetime
    locale: str

    @classmethod
    def upcast(cls, old: UserRegisteredV1) -> Self:
        """Version 1 called the name `full_name`, and everything was in English."""
        return cls(
            user_id=old.user_id, email=old.email, name=old.full_name, registered_at=old.registered_at, locale="en"
        )


class UserRegisteredV3(EventData):
    event_type: ClassVar[str] = "user_registered"
    version: ClassVar[int] = 3
    predecessor: ClassVar[type[EventData] | None] = UserRegisteredV2

    user_id: int
    email: str
    name: str
    registered_at: AwareDatetime
    locale: str
    marketing: bool

    @classmethod
    def upcast(cls, old: UserRegisteredV2) -> Self:
        """Until version 2 nobody was asked, so nobody has agreed."""
        return cls(**old.model_dump(), marketing=False)


def golden(version: int) -> dict[str, Any]:
    if version == 1:
        return goldens.golden("user_registered", "1.0")
    example: dict[str, Any] = json.loads(Path(__file__).with_name("user_registered.v2.json").read_text("utf-8"))
    return example


def test_a_new_consumer_reads_version_2_and_would_write_it_again() -> None:
    event = decode(golden(2), UserRegisteredV2)

    assert (event.data.name, event.data.locale) == ("Zoë O'Brien 😀", "de")
    assert json.loads(event.model_dump_json()) == golden(2)


def test_a_new_consumer_reads_version_1_as_version_2() -> None:
    event = decode(golden(1), UserRegisteredV2)

    in_english = golden(2)
    in_english["data"]["locale"] = "en"
    assert type(event) is Event[UserRegisteredV2]
    assert json.loads(event.model_dump_json()) == in_english, "the same event, as if published so"


@pytest.mark.parametrize(("version", "locale"), [(1, "en"), (2, "de")])
def test_an_event_is_upcast_one_version_after_the_other(version: int, locale: str) -> None:
    event = decode(golden(version), UserRegisteredV3)

    assert event.dataschema == "urn:herald:user_registered:3"
    assert (event.data.name, event.data.locale, event.data.marketing) == ("Zoë O'Brien 😀", locale, False)


def test_an_old_consumer_parks_version_2() -> None:
    with pytest.raises(
        UnknownEventVersion, match="'urn:herald:user_registered:2'; known: urn:herald:user_registered:1"
    ):
        decode(golden(2), UserRegisteredV1)


def test_what_a_consumer_can_read_is_named_newest_first() -> None:
    with pytest.raises(UnknownEventVersion, match=r"known: \S+:2, \S+:1; deploy"):
        decode(golden(1) | {"dataschema": "urn:herald:user_registered:3"}, UserRegisteredV2)


def test_an_old_event_that_is_broken_is_refused_naming_the_field_of_its_own_version() -> None:
    broken = golden(1)
    del broken["data"]["full_name"]

    with pytest.raises(InvalidEvent, match=r"^data\.full_name: Field required$"):
        decode(broken, UserRegisteredV2)


class Careless(UserRegisteredV2):
    @classmethod
    def upcast(cls, old: UserRegisteredV1) -> Self:
        raise LookupError(old.email)


class TooStrict(UserRegisteredV2):
    @classmethod
    def upcast(cls, old: UserRegisteredV1) -> Self:
        return cls.model_validate(old.model_dump())


@pytest.mark.parametrize(
    ("newest", "says"),
    [(Careless, "the upcast to urn:herald:user_registered:2 raised LookupError"), (TooStrict, "name: Field required")],
)
def test_an_upcast_that_fails_refuses_the_event_and_quotes_nothing_of_it(newest: type[EventData], says: str) -> None:
    with pytest.raises(InvalidEvent, match=says) as refused:
        decode(golden(1), newest)

    assert "bücher" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("returned", [None, {"name": "Maya"}, UserRegisteredV1])
def test_an_upcast_that_returns_anything_else_refuses_the_event(returned: object) -> None:
    class Confused(UserRegisteredV1):
        version: ClassVar[int] = 2
        predecessor: ClassVar[type[EventData] | None] = UserRegisteredV1

        @classmethod
        def upcast(cls, old: Any) -> Any:
            return returned

    with pytest.raises(InvalidEvent):
        decode(golden(1), Confused)


@pytest.mark.parametrize("version", [1, 3])
def test_a_predecessor_is_the_version_before(version: int) -> None:
    with pytest.raises(TypeError, match="urn:herald:user_registered:1 isn't the version before"):
        type("Wrong", (UserRegisteredV2,), {"version": version, "__module__": __name__})


def test_a_predecessor_is_of_the_same_type() -> None:
    with pytest.raises(TypeError, match="isn't the version before urn:herald:user_renamed:2"):
        type("Wrong", (UserRegisteredV2,), {"event_type": "user_renamed", "__module__": __name__})


def test_a_model_with_a_predecessor_and_no_upcast_says_so() -> None:
    class Forgotten(UserRegisteredV1):
        version: ClassVar[int] = 2
        predecessor: ClassVar[type[EventData] | None] = UserRegisteredV1

    with pytest.raises(InvalidEvent, match="raised NotImplementedError"):
        decode(golden(1), Forgotten)


def test_a_subscription_has_the_type_of_the_version_that_it_names() -> None:
    upgraded = Subscription(name="welcome_email", event=UserRegisteredV2, queue="notifier", retry=WELCOME_EMAIL.retry)

    assert upgraded.event_type == "user_registered"
    assert decode(golden(1), upgraded.event).data.locale == "en", "mypy knows it too"
