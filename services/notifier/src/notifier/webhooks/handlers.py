"""What the webhook does with an event: a plain function of plain data."""

import json
from datetime import UTC, datetime
from typing import Any

from contracts import Event, EventData
from messaging.privacy import Hidden
from notifier.webhooks.disabled import Switch, gone
from notifier.webhooks.endpoint import Endpoint
from notifier.webhooks.errors import EndpointGone


def call_webhook(event: Event[EventData], *, endpoint: Endpoint, switch: Switch) -> None:
    """Report one event to the endpoint, unless it is disabled. The event's id is the message's id.

    Raises one of `notifier.webhooks.errors`.
    """
    switch.require_on()
    texts = tuple(value for value in event.data.model_dump().values() if isinstance(value, str))
    body = payload(event.type, event.time, event.data.model_dump(mode="json"))
    try:
        endpoint.deliver(str(event.id), body, happened=event.time, hidden=Hidden(texts))
    except EndpointGone as error:
        switch.turn_off(str(error))
        raise EndpointGone(gone(str(error))) from None


def payload(kind: str, happened: datetime, data: dict[str, Any]) -> bytes:
    """Return the body of a message, in the shape that Standard Webhooks recommends. docs/webhook.md promises it."""
    timestamp = happened.astimezone(UTC).isoformat().replace("+00:00", "Z")
    body = {"type": kind, "timestamp": timestamp, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def trial_message() -> bytes:
    """Return the body of a message by which an operator tries the endpoint."""
    return payload("test", datetime.now(UTC), {})
