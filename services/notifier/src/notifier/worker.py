"""Dramatiq's entry point: `dramatiq notifier.worker`."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dramatiq

from contracts import (
    EFFECT_LEDGER,
    FOLLOW_UP_EMAIL,
    REPORT_EMAIL,
    WELCOME_EMAIL,
    EffectConfirmed,
    Event,
    ReportReady,
    UserRegistered,
)
from messaging import HeraldBroker, subscribe_group, subscribe_once
from messaging.effects import Ledger
from messaging.process import logs, settings
from messaging.process.database import open_pool, require_suitable
from notifier import handlers
from notifier.mail import Address
from notifier.rate import Limited
from notifier.senders import open_sender
from notifier.settings import NotifierSettings
from notifier.suppressions import Suppressing

config = settings.load_or_exit(NotifierSettings)
logs.configure(config.log_level, config.log_format)
require_suitable(config.database_url)
broker = HeraldBroker(config.redis_url)
dramatiq.set_broker(broker)
sender = open_sender(config.mail_url, timeout=config.mail_timeout)
limit = config.mail_timeout + 1.0  # composing the mail takes a moment too
if config.mail_rate:
    sender = Limited(sender, config.mail_rate, config.mail_url, broker.client, broker.stopping)
    limit += config.mail_rate.longest_wait
sender = suppressing = Suppressing(sender, open_pool(config.database_url, size=1, name="suppressions"))
suppressing.load()
mail_from = Address.sender(config.mail_from)
ledger = Ledger(config.database_url, limit=limit, uncertain=config.notifier_uncertain)


def welcome_email(event: Event[UserRegistered], key: str) -> str | None:
    """Send the welcome email of one registration."""
    return _send("welcome", event.data, key, event.time)


def follow_up_email(event: Event[UserRegistered], key: str) -> str | None:
    """Send the mail that follows some days after a registration."""
    return _send("follow_up", event.data, key, datetime.now(UTC))


def report_email(event: Event[ReportReady], key: str) -> str | None:
    """Send a report that is ready."""
    return handlers.send_report_email(
        event.data,
        key=key,
        sent=datetime.now(UTC),
        sender=sender,
        mail_from=mail_from,
        to=config.report_to,
        store=config.report_store,
    )


def effect_ledger(events: Sequence[Event[EffectConfirmed]]) -> None:
    """Record that effects have happened, as operators say: they are never caused again."""
    ledger.confirm([event.data for event in events])


def _send(template: str, user: UserRegistered, key: str, sent: datetime) -> str | None:
    return handlers.send_email(
        template, user.email, user.full_name, key=key, sent=sent, sender=sender, mail_from=mail_from
    )


subscribe_once(broker, WELCOME_EMAIL, welcome_email, ledger=ledger)
subscribe_once(broker, FOLLOW_UP_EMAIL, follow_up_email, ledger=ledger)
subscribe_once(broker, REPORT_EMAIL, report_email, ledger=ledger)
subscribe_group(broker, EFFECT_LEDGER, effect_ledger)
