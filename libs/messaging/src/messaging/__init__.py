"""Herald's messaging: the outbox, the relay, deliveries, receipts, and the subscriber shell around handlers.

Names that only a consumer needs are imported on first use, so a process that only publishes loads neither Dramatiq nor
the Redis client.
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
    Unavailable,
    UncertainError,
)
from messaging.publishing.outbox import publish

if TYPE_CHECKING:
    from messaging.consuming.broker import HeraldBroker
    from messaging.consuming.subscriber import subscribe, subscribe_group
    from messaging.effects import subscribe_once

__all__ = [
    "ConfigurationError",
    "HandedBack",
    "HeraldBroker",
    "MessagingError",
    "PermanentError",
    "RetryLater",
    "TransientError",
    "Unavailable",
    "UncertainError",
    "publish",
    "subscribe",
    "subscribe_group",
    "subscribe_once",
]

_CONSUMING = {
    "HeraldBroker": "messaging.consuming.broker",
    "subscribe": "messaging.consuming.subscriber",
    "subscribe_group": "messaging.consuming.subscriber",
    "subscribe_once": "messaging.effects",
}


def __getattr__(name: str) -> Any:
    if name not in _CONSUMING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_CONSUMING[name]), name)
