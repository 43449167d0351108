"""What Herald's services agree on: events, and the effects that subscribe to them.

This package has no side effects. A service may import it, but never another service.
"""

from contracts.decoding import decode
from contracts.envelope import Event, EventData
from contracts.errors import ContractError, InvalidEvent, UnknownEventVersion
from contracts.events import UserRegistered
from contracts.subscriptions import (
    AUDIT_LOG,
    FOLLOW_UP_EMAIL,
    SUBSCRIPTIONS,
    WEBHOOK,
    WELCOME_EMAIL,
    RetryPolicy,
    Subscription,
    subscriptions_to,
)

__all__ = [
    "AUDIT_LOG",
    "FOLLOW_UP_EMAIL",
    "SUBSCRIPTIONS",
    "WEBHOOK",
    "WELCOME_EMAIL",
    "ContractError",
    "Event",
    "EventData",
    "InvalidEvent",
    "RetryPolicy",
    "Subscription",
    "UnknownEventVersion",
    "UserRegistered",
    "decode",
    "subscriptions_to",
]
