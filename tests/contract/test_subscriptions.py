"""The subscriptions that exist. Names and queues are in databases, in Redis and in people's commands: a new one is
a line more, and to rename one loses what is under way."""

import json
from pathlib import Path

from contracts import SUBSCRIPTIONS, subscriptions_to
from contracts.events import EVENTS


def test_the_subscriptions_are_those_in_the_golden() -> None:
    golden = json.loads(Path(__file__).with_name("subscriptions.json").read_text("utf-8"))
    assert [each.model_dump(include={"name", "queue", "event_type"}) for each in SUBSCRIPTIONS] == golden


def test_a_name_is_one_subscription() -> None:
    assert len({each.name for each in SUBSCRIPTIONS}) == len(SUBSCRIPTIONS)


def test_a_name_fits_into_a_path_and_a_message_id() -> None:
    assert all(each.name.replace("_", "").isalnum() and each.name.isascii() for each in SUBSCRIPTIONS)


def test_what_is_subscribed_to_is_published() -> None:
    published = {schema.split(":")[2] for schema in EVENTS}
    assert {each.event_type for each in SUBSCRIPTIONS} <= published


def test_an_event_goes_to_the_subscriptions_of_its_type_and_an_unheard_one_to_none() -> None:
    assert {each.name for each in subscriptions_to("user_registered")} == {"welcome_email", "audit_log"}
    assert subscriptions_to("nobody_cares") == ()
