"""Does mail go out? What the deliveries say of it: users-api doesn't speak to the mail server.

Successes are counted by the minute and for an hour; an error has its own time. So within one minute it isn't known
which came last, and of an error before that hour not whether anything has succeeded since.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts import EFFECT_LEDGER, SUBSCRIPTIONS
from users_api.status.schemas import SubscriptionStatus

MAIL = {effect.name for effect in SUBSCRIPTIONS if effect.queue == "notifier" and effect is not EFFECT_LEDGER}

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Mail:
    """How the mails of a subscription do. `level`: good, warn, bad or empty. `at`: the minute or the error meant."""

    level: str
    text: str
    at: datetime | None = None


def mail(subscription: SubscriptionStatus, now: datetime) -> Mail:
    """Say whether the newest mail was sent or failed, as far as that is known."""
    sent, error = subscription.last_succeeded_at, subscription.last_error
    failed = error.at if error else None
    if sent is None:
        if failed is None:
            return Mail("", "none in the last hour")
        if failed < now - HOUR + MINUTE:
            return Mail("", "none sent in the last hour; the last error was", failed)
        return Mail("bad", "last failed", failed)
    if failed is None or failed < sent:
        return Mail("good", "last sent", sent)
    if failed < sent + MINUTE:
        return Mail("warn", "sent, and failed", failed)
    return Mail("bad", "last failed", failed)
