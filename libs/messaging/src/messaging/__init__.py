"""Herald's messaging: the outbox, the relay, deliveries, receipts, and the subscriber shell around handlers.

Names are imported on first use. So a process that only publishes loads neither Dramatiq nor the Redis client, and a
health check loads neither.
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

if TYPE_CHECKING:
    from messaging.consuming.broker import HeraldBroker
    from messaging.consuming.subscriber import subscribe, subscribe_group
    from messaging.effects import subscribe_once
    from messaging.publishing.outbox import publish

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

_LATE = {
    "HeraldBroker": "messaging.consuming.broker",
    "publish": "messaging.publishing.outbox",
    "subscribe": "messaging.consuming.subscriber",
    "subscribe_group": "messaging.consuming.subscriber",
    "subscribe_once": "messaging.effects",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
