"""Make the events of schedules when their slots come, by the database's clock."""

import threading
from collections.abc import Sequence
from datetime import datetime

import structlog

from contracts import Schedule
from messaging.process.database import Pool
from messaging.publishing import schedules
from messaging.publishing.slots import due, require_readable, slots

LOOK_SECONDS = 30.0
"""A relay looks at the database's clock at least this often: its own may go wrong, or be set."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("relay")


class Scheduler:
    """Makes the events of `declared` schedules. ConfigurationError, if one of them can't be read."""

    def __init__(self, pool: Pool, declared: Sequence[Schedule], publisher: str) -> None:
        require_readable(declared)
        self._pool = pool
        self._schedules = {schedule.name: schedule for schedule in declared}
        self._publisher = publisher

    def step(self, stop: threading.Event) -> None:
        """Make the events of the slots that are due, and wait for the next slot."""
        stop.wait(self.make())

    def make(self) -> float:
        """Make the events of the slots that are due, and return after how many seconds to look again."""
        with self._pool.connection() as connection:
            rows = connection.execute(schedules.LOOK, {"schedules": list(self._schedules)}).fetchall()
        looked: list[tuple[Schedule, datetime, datetime]]
        looked = [(self._schedules[name], since, now) for now, name, since in rows]
        made = [(schedule, slot) for schedule, since, now in looked for slot in due(schedule, since, now)]
        if made:
            self._publish(made, rows[0][0])
            return 0.0
        upcoming = [(next(slots(schedule, now)) - now).total_seconds() for schedule, _, now in looked]
        return min(LOOK_SECONDS, *upcoming)

    def _publish(self, offered: Sequence[tuple[Schedule, datetime]], now: datetime) -> None:
        parameters = schedules.making(offered, now, self._publisher)
        with self._pool.connection() as connection:
            made = {row[0] for row in connection.execute(schedules.MAKE, parameters)}
        for event_id, (schedule, slot) in zip(parameters["ids"], offered, strict=True):
            if event_id in made:
                log.info("slot.made", schedule=schedule.name, slot=slot.isoformat(), event_id=str(event_id))
