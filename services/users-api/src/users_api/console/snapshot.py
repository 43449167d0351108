"""The status that pages show: read once, however many look at the same time."""

import asyncio
import time
from dataclasses import dataclass

from starlette.datastructures import State

from users_api.status.page import status_of
from users_api.status.schemas import Status

AGE_SECONDS = 0.25
"""A status that was read this much earlier is shown again. It must be less than the delay between a live event and the
request that follows from it (`live_open` in parts.html.j2), or a page could keep what was before the event."""


@dataclass(frozen=True, slots=True)
class _Reading:
    began: float
    task: "asyncio.Task[Status]"


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
        oldest = time.monotonic() - AGE_SECONDS
        while (reading := self._reading) and reading.began < oldest and not reading.task.done():
            await asyncio.wait({reading.task})  # one at a time, also when PostgreSQL is slow
        if reading is None or reading.began < oldest:
            status = asyncio.create_task(status_of(self._state.pool, self._state.transport), name="console.status")
            self._reading = reading = _Reading(time.monotonic(), status)
        return await asyncio.shield(reading.task)
