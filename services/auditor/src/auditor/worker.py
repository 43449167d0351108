"""Dramatiq's entry point: `dramatiq auditor.worker`."""

from collections.abc import Sequence

import dramatiq

from auditor import handlers
from auditor.chain.sealer import Sealer
from auditor.settings import AuditorSettings
from contracts import AUDIT_LOG, Event, UserRegistered
from messaging import HeraldBroker, subscribe_group
from messaging.process import logs, settings
from messaging.process.database import open_pool, require_suitable

config = settings.load_or_exit(AuditorSettings)
logs.configure(config.log_level, config.log_format)
require_suitable(config.database_url)
broker = HeraldBroker(config.redis_url)
dramatiq.set_broker(broker)
pool = open_pool(config.database_url, size=9, name="auditor")  # one for each thread, and one for the sealer
sealer = Sealer(pool, config.checkpoints())
sealer.start()
broker.at_shutdown.append(sealer.close)


def audit_log(events: Sequence[Event[UserRegistered]]) -> None:
    """Record a group of events in one transaction."""
    with pool.connection() as connection:
        handlers.record(connection, events)
    sealer.wake()


subscribe_group(broker, AUDIT_LOG, audit_log)
