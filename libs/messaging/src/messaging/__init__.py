"""Herald's messaging: the outbox, the relay, deliveries, receipts, and the subscriber shell around handlers."""

from messaging.broker import HeraldBroker
from messaging.errors import (
    ConfigurationError,
    HandedBack,
    MessagingError,
    PermanentError,
    RetryLater,
    TransientError,
    UncertainError,
)
from messaging.message import Delivery
from messaging.outbox import publish
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
