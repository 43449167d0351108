"""Which effect wants which event: the one table that the outbox, the relay and the consumers all read.

A subscription is an *effect*, not a service, so each effect has its own retries and its own state. To add an effect,
declare its subscription here and add it to `SUBSCRIPTIONS`; the publisher's code doesn't change.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Generic

from pydantic import BaseModel, ConfigDict, Field

from contracts.envelope import DataT, EventData
from contracts.errors import ContractError
from contracts.events import EVENTS, EffectConfirmed, ReportDue, ReportReady, UserRegistered


class RetryPolicy(BaseModel):
    """When a delivery is tried again after a transient error: exponential backoff with jitter, until `max_attempts`.

    Delays are in seconds. The delay after attempt n is drawn from the upper half of `first_delay * 2 ** (n - 1)`, which
    is at most `max_delay`. `max_crashes`: the delivery fails after this many attempts during which the worker process
    died, so that a poison event doesn't kill workers for ever.
    """

    model_config = ConfigDict(frozen=True)

    max_attempts: int = Field(ge=1)
    first_delay: float = Field(gt=0)
    max_delay: float = Field(gt=0)
    max_crashes: int = Field(default=5, ge=1)


class Subscription(BaseModel, Generic[DataT]):
    """One effect that wants every event of one type. Its Dramatiq actor has the same name.

    `event`: the newest version of the event's data. The handler receives this version, whichever was published.
    `service`: the service that handles it; the queue's name, unless the service has several queues.
    `group_size`: the most events that one message carries, when many are due at once.
    `time_limit`: seconds after which the handling of a message is interrupted, and tried again.
    `repeatable`: whether repeating the effect never adds anything, because the effect is one row with a unique key and
    nothing else. Only then may deliveries that succeeded be replayed.
    `delay`: how long after the event the effect is due. An operator can cancel the delivery until then.
    `delay_setting`: the setting whose value, such as `3d`, is the delay; None, if `delay` is.
    `switch`: the setting that turns the effect on. While it is empty, publishers write no delivery for the effect.
    None, if the effect is always on.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    event: type[DataT]
    queue: str
    service: str = Field(default_factory=lambda fields: str(fields["queue"]))
    retry: RetryPolicy
    group_size: int = Field(default=100, ge=1)
    time_limit: float = Field(default=600.0, gt=0)
    repeatable: bool = False
    delay: timedelta = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=3650))
    delay_setting: str | None = None
    switch: str | None = None

    @property
    def event_type(self) -> str:
        """The type of the events that the subscription wants, in any version."""
        return self.event.event_type


WELCOME_EMAIL = Subscription(
    name="welcome_email",
    event=UserRegistered,
    queue="notifier",
    group_size=30,
    retry=RetryPolicy(max_attempts=300, first_delay=1, max_delay=300),  # about a day
)

FOLLOW_UP_EMAIL = Subscription(
    name="follow_up_email",
    event=UserRegistered,
    queue="notifier",
    group_size=30,
    retry=RetryPolicy(max_attempts=300, first_delay=1, max_delay=300),  # about a day
    switch="FOLLOW_UP_AFTER",
    delay_setting="FOLLOW_UP_AFTER",
)

AUDIT_LOG = Subscription(
    name="audit_log",
    event=UserRegistered,
    queue="auditor",
    retry=RetryPolicy(max_attempts=10_000, first_delay=0.5, max_delay=60),  # about a week
    repeatable=True,
)

WEBHOOK = Subscription(
    name="webhook",
    event=UserRegistered,
    queue="webhook",
    service="notifier",
    group_size=10,  # a call may take 20 seconds
    retry=RetryPolicy(max_attempts=300, first_delay=5, max_delay=1200),  # about three days
    switch="WEBHOOK_URL",
)

DAILY_REPORT = Subscription(
    name="daily_report",
    event=ReportDue,
    queue="reports",  # of its own, so that minutes of work delay no other effect
    service="auditor",
    retry=RetryPolicy(max_attempts=20, first_delay=30, max_delay=3600),  # about a day
    group_size=1,
    time_limit=600.0,
    repeatable=True,
    switch="REPORT_TO",
)

REPORT_EMAIL = Subscription(
    name="report_email",
    event=ReportReady,
    queue="notifier",
    retry=RetryPolicy(max_attempts=300, first_delay=1, max_delay=300),  # about a day
)

EFFECT_LEDGER = Subscription(
    name="effect_ledger",
    event=EffectConfirmed,
    queue="notifier",
    retry=RetryPolicy(max_attempts=10_000, first_delay=0.5, max_delay=60),  # about a week
    repeatable=True,
)

SUBSCRIPTIONS: tuple[Subscription[EventData], ...] = (
    WELCOME_EMAIL,
    FOLLOW_UP_EMAIL,
    AUDIT_LOG,
    WEBHOOK,
    DAILY_REPORT,
    REPORT_EMAIL,
    EFFECT_LEDGER,
)


def subscriptions_to(event_type: str) -> tuple[Subscription[EventData], ...]:
    """Return the subscriptions to events of a type; there may be none."""
    return tuple(subscription for subscription in SUBSCRIPTIONS if subscription.event_type == event_type)


def require_newest(subscriptions: Collection[Subscription[EventData]], events: Collection[type[EventData]]) -> None:
    """Check that each subscription takes one of `events`, the newest version of each event type.

    Raises:
        ContractError: a subscription takes an older version, and so would refuse every event that is published.
    """
    for subscription in subscriptions:
        if subscription.event not in events:
            schema = subscription.event.schema_uri()
            raise ContractError(f"{subscription.name} takes {schema}, which isn't in EVENTS: name the newest version")


require_newest(SUBSCRIPTIONS, EVENTS)
