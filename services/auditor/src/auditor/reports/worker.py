"""Dramatiq's entry point for long work: `dramatiq auditor.reports.worker --processes 1 --threads 1`.

Its queue and its processes are its own, so a report of minutes delays no audit row and no mail. Another process may
make another report at the same time. In a process of this worker threads would share one interpreter's time.
"""

import os

import dramatiq

from auditor.reports import handlers
from auditor.reports.settings import ReportSettings
from contracts import DAILY_REPORT, Event, ReportDue
from messaging import HeraldBroker, subscribe
from messaging.process import logs, settings
from messaging.process.database import open_pool, require_suitable

STATEMENT = "statement_timeout = 60000"
"""PostgreSQL ends a statement after a minute: the worker's time limit can't end one that waits for an answer."""

config = settings.load_or_exit(ReportSettings)
logs.configure(config.log_level, config.log_format)
require_suitable(config.database_url)
os.nice(19)  # where all cores are busy, work that takes minutes yields to work that takes milliseconds
broker = HeraldBroker(config.redis_url)
dramatiq.set_broker(broker)
pool = open_pool(config.database_url, size=2, name="reports", settings=[STATEMENT])


def daily_report(event: Event[ReportDue]) -> None:
    """Make the report of one day."""
    with pool.connection() as connection:
        handlers.make_report(connection, event, config.report_store)


subscribe(broker, DAILY_REPORT, daily_report)
