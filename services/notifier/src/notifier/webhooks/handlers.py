"""What the webhook does with an event: a plain function of plain data."""

import json
from datetime import UTC, datetime
from typing import Any

from contracts import Event, UserRegistered
from messaging.privacy import Hidden
from notifier.webhooks.disabled import Switch, gone
from notifier.webhooks.endpoint import Endpoint
from notifier.webhooks.errors import EndpointGone


def call_webhook(event: Event[UserRegistered], *, endpoint: Endpoint, switch: Switch) -> None:
    """Report one event to the endpoint, unless it is disabled. The event's id is the message's id.

    Raises one of `notifier.webhooks.errors`.
    """
    switch.require_on()
    hidden = Hidden((event.data.email, event.data.full_name))
    body = payload(event.type, event.time, promised(event.data))
    try:
        endpoint.deliver(str(event.id), body, happened=event.time, hidden=hidden)
    except EndpointGone as error:
        switch.turn_off(str(error))
        raise EndpointGone(gone(str(error))) from None


def promised(user: UserRegistered) -> dict[str, Any]:
    """Return what docs/webhook.md promises to receivers, field by field: the event may change, and this may not."""
    return {
        "user_id": user.user_id,
        "email": user.email,
        "full_name": user.full_name,
        "registered_at": _rfc3339(user.registered_at),
    }


def payload(kind: str, happened: datetime, data: dict[str, Any]) -> bytes:
    """Return the body of a message, in the shape that Standard Webhooks recommends. docs/webhook.md promises it."""
    body = {"type": kind, "timestamp": _rfc3339(happened), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def trial_message() -> bytes:
    """Return the body of a message by which an operator tries the endpoint."""
    return payload("test", datetime.now(UTC), {})


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
