"""Herald's messaging: the outbox, the relay, deliveries, receipts, and the subscriber shell around handlers."""

from messaging.broker import HeraldBroker
from messaging.errors import (
    ConfigurationError,
    MessagingError,
    PermanentError,
    RetryLater,
    TransientError,
    UncertainError,
)
from messaging.message import Delivery
from messaging.outbox import publish
from messaging.subscriber import subscribe, subscribe_group

__all__ = [
    "ConfigurationError",
    "Delivery",
    "HeraldBroker",
    "MessagingError",
    "PermanentError",
    "RetryLater",
    "TransientError",
    "UncertainError",
    "publish",
    "subscribe",
    "subscribe_group",
]
