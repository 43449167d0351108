"""The webhook of user_registered: what receivers read is the golden JSON beside this, byte for byte.

Receivers are other companies' programs. A field may be added; whatever else changes is another `type`.
"""

import json
from datetime import datetime
from pathlib import Path
from uuid import UUID

from contracts import Event, UserRegistered, decode
from notifier.webhooks import handlers
from notifier.webhooks.disabled import Switch
from notifier.webhooks.endpoint import Endpoint

from .goldens import golden

EVENT = golden("user_registered", "1.0")
GOLDEN = Path(__file__).with_name("webhook.user_registered.json").read_text("utf-8").strip()


class Received(Endpoint, Switch):
    """Keeps what the handler delivers."""

    def __init__(self) -> None:
        self.id, self.body = "", b""

    def require_on(self) -> None:
        """Let it pass."""

    def deliver(self, message_id: str, body: bytes, **_: object) -> None:
        self.id, self.body = message_id, body


def received(event: Event[UserRegistered]) -> Received:
    receiver = Received()
    handlers.call_webhook(event, endpoint=receiver, switch=receiver)
    return receiver


def test_the_body_is_exactly_the_golden_and_the_id_is_the_events() -> None:
    receiver = received(decode(EVENT, UserRegistered))

    assert receiver.body.decode() == GOLDEN
    assert UUID(receiver.id) == UUID(EVENT["id"])
    assert "." not in receiver.id, "the standard separates what is signed by full stops"


def test_the_timestamp_is_when_it_happened_in_utc() -> None:
    event = decode(EVENT | {"time": "2026-03-14T16:09:26+01:00"}, UserRegistered)

    assert json.loads(received(event).body)["timestamp"] == "2026-03-14T15:09:26Z"


def test_a_trial_message_has_the_same_shape() -> None:
    trial = json.loads(handlers.trial_message())

    assert trial.keys() == json.loads(GOLDEN).keys()
    assert (trial["type"], trial["data"]) == ("test", {})
    assert datetime.fromisoformat(trial["timestamp"]).tzinfo
