"""Dramatiq's entry point: `dramatiq auditor.worker`."""

from collections.abc import Sequence

import dramatiq

from auditor import handlers
from contracts import AUDIT_LOG, Event, UserRegistered
from messaging import HeraldBroker, subscribe_group
from messaging.process import logs, settings
from messaging.process.database import open_pool, require_suitable

config = settings.load_or_exit(settings.Settings)
logs.configure(config.log_level, config.log_format)
require_suitable(config.database_url)
broker = HeraldBroker(config.redis_url)
dramatiq.set_broker(broker)
pool = open_pool(config.database_url, size=8, name="auditor")


def audit_log(events: Sequence[Event[UserRegistered]]) -> None:
    """Record a group of events in one transaction."""
    with pool.connection() as connection:
        handlers.record(connection, events)


subscribe_group(broker, AUDIT_LOG, audit_log)
