"""A relay as a process of its own."""

import signal
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import LiteralString

from pydantic import Field

from contracts import SUBSCRIPTIONS, Schedule
from messaging.process import collector, logs
from messaging.process.database import require_suitable
from messaging.process.settings import Settings, exit_if_wrong, load_or_exit
from messaging.publishing.switches import enabled
from messaging.relay.housekeep import Retention
from messaging.relay.relay import run


class RelaySettings(Settings):
    """From the environment; README's table says what each means. `retention_days`: up to a hundred years."""

    retention_days: float = Field(default=30.0, gt=0, le=36_500)


def main(publisher: str, schedules: Sequence[Schedule] = (), forget: Mapping[str, LiteralString] | None = None) -> None:
    """Move the deliveries of a publisher until SIGTERM or SIGINT. Settings come from the environment.

    Args:
        publisher: whose database it is.
        schedules: the publisher's schedules.
        forget: statements that delete what is old from tables of the publisher's own, by table; see `Retention`.
    """
    settings = load_or_exit(RelaySettings)
    logs.configure(settings.log_level, settings.log_format)
    with exit_if_wrong():
        enabled()
    require_suitable(settings.database_url)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    retention = Retention(timedelta(days=settings.retention_days), dict(forget or {}))
    collector.freeze()
    urls = settings.database_url, settings.redis_url
    run(*urls, SUBSCRIPTIONS, stop, retention, publisher=publisher, schedules=schedules)
