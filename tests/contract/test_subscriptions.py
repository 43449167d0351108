"""The subscriptions that exist. Names and queues are in databases, in Redis and in people's commands: a new one is
a line more, and to rename one loses what is under way."""

import json
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from contracts import (
    AUDIT_LOG,
    SUBSCRIPTIONS,
    WELCOME_EMAIL,
    ContractError,
    EventData,
    Subscription,
    UserRegistered,
    subscriptions_to,
)
from contracts.events import EVENTS
from contracts.subscriptions import require_newest


def test_the_subscriptions_are_those_in_the_golden() -> None:
    golden = json.loads(Path(__file__).with_name("subscriptions.json").read_text("utf-8"))
    declared = [{name: getattr(each, name) for name in ("name", "queue", "event_type")} for each in SUBSCRIPTIONS]
    assert declared == golden


def test_a_name_is_one_subscription() -> None:
    assert len({each.name for each in SUBSCRIPTIONS}) == len(SUBSCRIPTIONS)


def test_a_name_fits_into_a_path_and_a_message_id() -> None:
    assert all(each.name.replace("_", "").isalnum() and each.name.isascii() for each in SUBSCRIPTIONS)


def test_an_event_type_has_one_newest_version() -> None:
    assert len({event.event_type for event in EVENTS}) == len(EVENTS)


class OlderUserRegistered(UserRegistered):
    """What an event was before it had the version that is published."""

    version: ClassVar[int] = 0
    predecessor: ClassVar[type[EventData] | None] = None


@pytest.mark.parametrize("subscription", SUBSCRIPTIONS, ids=lambda each: each.name)
def test_a_subscription_that_names_no_newest_version_is_refused(subscription: Subscription[EventData]) -> None:
    require_newest([subscription], EVENTS)
    outdated = subscription.model_copy(update={"event": OlderUserRegistered})

    with pytest.raises(ContractError, match=f"{subscription.name} takes urn:herald:user_registered:0"):
        require_newest([*SUBSCRIPTIONS, outdated], EVENTS)


def test_a_delay_is_none_or_some_time_after_the_event() -> None:
    assert WELCOME_EMAIL.delay == timedelta(0)
    with pytest.raises(ValueError, match="delay"):
        Subscription(
            name="early", event=UserRegistered, queue="x", retry=WELCOME_EMAIL.retry, delay=timedelta(seconds=-1)
        )


def test_an_event_goes_to_the_subscriptions_of_its_type_and_an_unheard_one_to_none() -> None:
    assert {WELCOME_EMAIL, AUDIT_LOG} <= set(subscriptions_to("user_registered"))
    assert subscriptions_to("nobody_cares") == ()
