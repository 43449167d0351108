"""The auditor's relay: it moves the deliveries of the reports that the auditor announces."""

import signal
import threading
from datetime import timedelta

from auditor import PUBLISHER
from auditor.reports.settings import RelaySettings
from contracts import SUBSCRIPTIONS
from messaging.process import collector, logs
from messaging.process.database import require_suitable
from messaging.process.settings import load_or_exit
from messaging.relay import Retention, run


def relay() -> None:
    """Run until SIGTERM. Not for a database that users-api publishes from too: users-api's relay moves both."""
    settings = load_or_exit(RelaySettings)
    logs.configure(settings.log_level, settings.log_format)
    require_suitable(settings.database_url)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    retention = Retention(timedelta(days=settings.retention_days))
    collector.freeze()
    run(settings.database_url, settings.redis_url, SUBSCRIPTIONS, stop, retention, publisher=PUBLISHER)
