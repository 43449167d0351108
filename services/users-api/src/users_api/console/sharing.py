"""Parts of pages that read themselves again: each is read once, however many look at it.

Only what htmx asks for is shared. A whole page is read anew: it may follow an action, and must show what that changed.
A part must not depend on who asks.
"""

import asyncio
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.console.rendering import is_part

AGE_SECONDS = 0.25
"""A part that was read this much earlier is sent again. It must be less than the delay between a live event and the
request that follows from it (`live_open` in parts.html.j2), or a page could keep what was before the event."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the application sent, and what it raised."""

    messages: list[Message]
    error: Exception | None


@dataclass(frozen=True, slots=True)
class _Reading:
    began: float
    task: "asyncio.Task[_Answer]"


class SharedParts:
    """Answers requests for the same part at the same time, or within AGE_SECONDS, with one reading."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._readings: dict[tuple[str, bytes], _Reading] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope.get("method") != "GET" or not is_part(Request(scope)):
            await self._app(scope, receive, send)
            return
        answer = await self._newest(scope)
        for message in answer.messages:
            await send(dict(message))  # a copy: headers are added to it
        if answer.error:
            raise answer.error

    async def _newest(self, scope: Scope) -> _Answer:
        """Return the newest answer, or wait for it."""
        key = scope["path"], scope["query_string"]
        oldest = time.monotonic() - AGE_SECONDS
        while (reading := self._readings.get(key)) and reading.began < oldest and not reading.task.done():
            await asyncio.wait({reading.task})  # one at a time, also when PostgreSQL is slow
        if reading is None or reading.began < oldest:
            self._readings = {k: r for k, r in self._readings.items() if r.began >= oldest or not r.task.done()}
            task = asyncio.create_task(self._read(scope), name="console.part")
            self._readings[key] = reading = _Reading(time.monotonic(), task)
        return await asyncio.shield(reading.task)

    async def _read(self, scope: Scope) -> _Answer:
        """Ask the application. The client that asked first may leave meanwhile."""
        messages: list[Message] = []
        received: asyncio.Queue[Message] = asyncio.Queue()
        received.put_nowait({"type": "http.request", "body": b"", "more_body": False})

        async def send(message: Message) -> None:
            messages.append(message)

        try:
            await self._app(scope, received.get, send)
        except Exception as error:  # answered with a page already
            return _Answer(messages, error)
        return _Answer(messages, None)
