"""What Herald's services agree on: events, the effects that subscribe to them, and the schedules that make events.

This package has no side effects. A service may import it, but never another service.
"""

from contracts.decoding import decode
from contracts.envelope import Event, EventData
from contracts.errors import ContractError, InvalidEvent, UnknownEventVersion
from contracts.events import EffectConfirmed, ReportDue, ReportReady, Scheduled, StoredFile, UserRegistered
from contracts.schedules import SCHEDULES, Schedule
from contracts.subscriptions import (
    AUDIT_LOG,
    DAILY_REPORT,
    EFFECT_LEDGER,
    FOLLOW_UP_EMAIL,
    REPORT_EMAIL,
    SUBSCRIPTIONS,
    WEBHOOK,
    WELCOME_EMAIL,
    RetryPolicy,
    Subscription,
    subscriptions_to,
)

__all__ = [
    "AUDIT_LOG",
    "DAILY_REPORT",
    "EFFECT_LEDGER",
    "FOLLOW_UP_EMAIL",
    "REPORT_EMAIL",
    "SCHEDULES",
    "SUBSCRIPTIONS",
    "WEBHOOK",
    "WELCOME_EMAIL",
    "ContractError",
    "EffectConfirmed",
    "Event",
    "EventData",
    "InvalidEvent",
    "ReportDue",
    "ReportReady",
    "RetryPolicy",
    "Schedule",
    "Scheduled",
    "StoredFile",
    "Subscription",
    "UnknownEventVersion",
    "UserRegistered",
    "decode",
    "subscriptions_to",
]
