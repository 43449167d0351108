"""Dramatiq's entry point: `dramatiq notifier.worker`."""

import dramatiq

from contracts import WELCOME_EMAIL, Event, UserRegistered
from messaging import HeraldBroker, subscribe_once
from messaging.effects import Ledger
from messaging.process import logs, settings
from messaging.process.database import require_suitable
from notifier import handlers
from notifier.mail import Address
from notifier.senders import open_sender
from notifier.settings import NotifierSettings

config = settings.load_or_exit(NotifierSettings)
logs.configure(config.log_level, config.log_format)
require_suitable(config.database_url)
broker = HeraldBroker(config.redis_url)
dramatiq.set_broker(broker)
sender = open_sender(config.mail_url, timeout=config.mail_timeout)
mail_from = Address.sender(config.mail_from)
limit = config.mail_timeout + 1.0  # composing the mail takes a moment too
ledger = Ledger(config.database_url, limit=limit, uncertain=config.notifier_uncertain)


def welcome_email(event: Event[UserRegistered], key: str) -> str | None:
    """Send the welcome email of one registration."""
    return handlers.send_welcome_email(
        event.data.email, event.data.full_name, key=key, sent=event.time, sender=sender, mail_from=mail_from
    )


subscribe_once(broker, WELCOME_EMAIL, welcome_email, ledger=ledger)
