"""One open stream: what it wants to see, and what waits to be sent to it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from fastapi.sse import ServerSentEvent

WAITING = 200
"""The most messages that wait for a viewer. If it reads more slowly than they come, all of them are dropped."""

MISSED = '{"reason":"There were more changes than are shown here. Read the lists again."}'


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to viewers. `about`: the event and its subject; None, if it is for all who have no filter."""

    id: str
    kind: str
    data: str
    about: tuple[UUID, str] | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """What a viewer wants to see: everything, or one event, or the events about one subject."""

    event_id: UUID | None = None
    subject: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the viewer wants to see everything."""
        return self.event_id is None and self.subject is None

    def takes(self, message: Message) -> bool:
        """Return whether a message is for this viewer."""
        if self.is_open or message.about is None:
            return self.is_open or message.kind != "status"
        event_id, subject = message.about
        return self.event_id in (None, event_id) and self.subject in (None, subject)


class Viewer:
    """A stream with a filter. `is_new`: whether it hasn't been sent yet how the deliveries that it watches are."""

    def __init__(self, wanted: Filter) -> None:
        self.wanted = wanted
        self.is_new = not wanted.is_open
        self._waiting: asyncio.Queue[Message | None] = asyncio.Queue(WAITING)

    def send(self, message: Message) -> None:
        """Let a message wait to be sent. This never blocks: if too many wait, they become one that says so."""
        if not self.wanted.takes(message):
            return
        if self._waiting.full():
            self._drop()
            message = Message(message.id, "missed", MISSED)
        self._waiting.put_nowait(message)

    def end(self) -> None:
        """Send nothing more."""
        self._drop()
        self._waiting.put_nowait(None)

    async def stream(self) -> AsyncIterator[ServerSentEvent]:
        """Yield what is sent, until `end` is called."""
        while message := await self._waiting.get():
            yield ServerSentEvent(id=message.id, event=message.kind, raw_data=message.data)

    def _drop(self) -> None:
        while not self._waiting.empty():
            self._waiting.get_nowait()
