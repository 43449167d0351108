"""Herald's messaging: the outbox, the relay, deliveries, receipts, and the subscriber shell around handlers.

What consumers need is imported when it is asked for: who only publishes needs neither Dramatiq nor Redis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from messaging.errors import (
    ConfigurationError,
    HandedBack,
    MessagingError,
    PermanentError,
    RetryLater,
    TransientError,
    UncertainError,
)
from messaging.publishing.outbox import publish

if TYPE_CHECKING:
    from messaging.consuming.broker import HeraldBroker
    from messaging.consuming.outcomes import Settled
    from messaging.consuming.subscriber import subscribe, subscribe_group, subscribe_settling
    from messaging.wire.message import Delivery

__all__ = [
    "ConfigurationError",
    "Delivery",
    "HandedBack",
    "HeraldBroker",
    "MessagingError",
    "PermanentError",
    "RetryLater",
    "Settled",
    "TransientError",
    "UncertainError",
    "publish",
    "subscribe",
    "subscribe_group",
    "subscribe_settling",
]

_CONSUMING = {
    "Delivery": "messaging.wire.message",
    "HeraldBroker": "messaging.consuming.broker",
    "Settled": "messaging.consuming.outcomes",
    "subscribe": "messaging.consuming.subscriber",
    "subscribe_group": "messaging.consuming.subscriber",
    "subscribe_settling": "messaging.consuming.subscriber",
}


def __getattr__(name: str) -> Any:
    if name not in _CONSUMING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_CONSUMING[name]), name)
