"""Dramatiq's entry point: `dramatiq notifier.webhooks.worker`. It needs WEBHOOK_URL, and ends without it."""

import dramatiq

from contracts import WEBHOOK, Event, UserRegistered
from messaging import HeraldBroker, subscribe_once
from messaging.effects import Ledger
from messaging.process import logs, settings
from messaging.process.database import require_suitable
from notifier.webhooks import handlers
from notifier.webhooks.disabled import Switch
from notifier.webhooks.settings import WorkerSettings, open_endpoint

config = settings.load_or_exit(WorkerSettings)
logs.configure(config.log_level, config.log_format)
require_suitable(config.database_url)
broker = HeraldBroker(config.redis_url)
dramatiq.set_broker(broker)
endpoint = open_endpoint(config)
switch = Switch(config.database_url, str(config.webhook_url))
broker.at_shutdown.append(switch.close)
limit = config.webhook_timeout + 10.0  # a look before the call and a note after it each wait for four seconds at most
ledger = Ledger(config.database_url, limit=limit, uncertain="resend")


def webhook(event: Event[UserRegistered], _key: str) -> None:
    """Report one registration to the endpoint."""
    handlers.call_webhook(event, endpoint=endpoint, switch=switch)


subscribe_once(broker, WEBHOOK, webhook, ledger=ledger)
