"""The status that pages show: read once, however many look at the same time."""

import asyncio
import time
from dataclasses import dataclass

from starlette.datastructures import State

from users_api.status.page import status_of
from users_api.status.schemas import Status

AGE_SECONDS = 1.0
"""A status that is younger than this is shown again."""


@dataclass(slots=True)
class _Reading:
    began: float
    task: "asyncio.Task[Status]"

    @property
    def is_usable(self) -> bool:
        """Whether it is being read, or was read just now."""
        if not self.task.done():
            return True
        is_read = not self.task.cancelled() and self.task.exception() is None
        return is_read and time.monotonic() - self.began < AGE_SECONDS


class Snapshot:
    """The newest status of the process, for all who look."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._reading: _Reading | None = None

    async def get(self) -> Status:
        """Return the status as it was at most AGE_SECONDS before.

        Raises:
            DatabaseUnavailable: PostgreSQL doesn't answer.
        """
        if self._reading is None or not self._reading.is_usable:
            reading = status_of(self._state.pool, self._state.transport)
            self._reading = _Reading(time.monotonic(), asyncio.create_task(reading, name="console.status"))
        return await asyncio.shield(self._reading.task)
