"""Dramatiq's entry point: `dramatiq notifier.worker`."""

from collections.abc import Iterator, Sequence

import dramatiq

from contracts import WELCOME_EMAIL
from messaging import Delivery, HeraldBroker, Settled, subscribe_settling
from messaging.process import logs, settings
from messaging.process.database import open_pool, require_suitable
from notifier import handlers
from notifier.ledger import SETTINGS, Ledger
from notifier.settings import NotifierSettings
from notifier.smtp import Mailer

config = settings.load_or_exit(NotifierSettings)
logs.configure(config.log_level, config.log_format)
require_suitable(config.database_url)
broker = HeraldBroker(config.redis_url)
dramatiq.set_broker(broker)
mailer = Mailer(config.smtp_url, timeout=config.smtp_timeout)
ledger = Ledger(
    open_pool(config.database_url, size=8, name="notifier", settings=SETTINGS),
    uncertain=config.notifier_uncertain,
    lease=config.smtp_timeout + 3,
    stopping=broker.stopping,
)


def welcome_email(deliveries: Sequence[Delivery]) -> Iterator[Settled]:
    """Send the welcome emails of a group of registrations."""
    return handlers.send_welcome_emails(deliveries, ledger=ledger, mailer=mailer, sender=config.mail_from)


subscribe_settling(broker, WELCOME_EMAIL, welcome_email)
