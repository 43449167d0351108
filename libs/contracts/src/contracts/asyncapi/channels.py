"""Channels and operations: who sends what, and who receives it for which effect."""

from typing import Any

from contracts.asyncapi.messages import key, summary
from contracts.asyncapi.wording import due, retries
from contracts.envelope import EventData
from contracts.events import PUBLISHERS
from contracts.schedules import SCHEDULES
from contracts.schemas import versions
from contracts.subscriptions import SUBSCRIPTIONS, Subscription, subscriptions_to

_CHANNEL = """\
The address is the CloudEvents `type`, by which an event is routed. In Redis the event travels once for each \
subscription, in the list `dramatiq:QUEUE` of the subscription's queue: {queues}."""


def channel(newest: type[EventData]) -> dict[str, Any]:
    """Return the channel of an event type, with the messages of all its versions."""
    queues = sorted({each.queue for each in subscriptions_to(newest.event_type)})
    return {
        "address": newest.event_type,
        "title": newest.event_type,
        "summary": summary(newest),
        "description": _CHANNEL.format(queues=", ".join(f"`{queue}`" for queue in queues) or "there is none yet"),
        "messages": {key(model): {"$ref": f"#/components/messages/{key(model)}"} for model in versions(newest)},
    }


def sends() -> dict[str, Any]:
    """Return the operations of the publishers. Each sends the newest version alone."""
    return {
        f"{service}.send.{event.event_type}": {
            "action": "send",
            "summary": f"{service} publishes {event.event_type}",
            **_made_by_schedules(event),
            "channel": {"$ref": f"#/channels/{event.event_type}"},
            "messages": [_in_channel(event)],
            "tags": [{"name": service}],
        }
        for service, events in PUBLISHERS.items()
        for event in events
    }


def receives() -> dict[str, Any]:
    """Return the operations of the subscriptions. Each receives every version."""
    return {f"{each.service}.receive.{each.name}": _receive(each) for each in SUBSCRIPTIONS}


def _receive(subscription: Subscription[EventData]) -> dict[str, Any]:
    effect = subscription.model_dump(mode="json", exclude={"event"})
    return {
        "action": "receive",
        "summary": f"{subscription.service} receives {subscription.event_type} for {subscription.name}",
        "description": f"Queue `{subscription.queue}`. Due {due(effect)}. Retries: {retries(effect)}.",
        "channel": {"$ref": f"#/channels/{subscription.event_type}"},
        "messages": [_in_channel(model) for model in versions(subscription.event)],
        "tags": [{"name": subscription.service}],
        "x-herald-effect": effect,
    }


def _made_by_schedules(event: type[EventData]) -> dict[str, Any]:
    made = [f"`{each.name}` (`{each.cron}`, {each.time_zone})" for each in SCHEDULES if each.event is event]
    return {"description": f"Made by the schedule {' and '.join(made)}."} if made else {}


def _in_channel(model: type[EventData]) -> dict[str, Any]:
    return {"$ref": f"#/channels/{model.event_type}/messages/{key(model)}"}
