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
from messaging.outbox import publish

if TYPE_CHECKING:
    from messaging.broker import HeraldBroker
    from messaging.message import Delivery
    from messaging.outcomes import Settled
    from messaging.subscriber import subscribe, subscribe_group, subscribe_settling

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
    "Delivery": "messaging.message",
    "HeraldBroker": "messaging.broker",
    "Settled": "messaging.outcomes",
    "subscribe": "messaging.subscriber",
    "subscribe_group": "messaging.subscriber",
    "subscribe_settling": "messaging.subscriber",
}


def __getattr__(name: str) -> Any:
    if name not in _CONSUMING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_CONSUMING[name]), name)
