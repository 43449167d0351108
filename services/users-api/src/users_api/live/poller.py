"""One run of the poller: from the first viewer until the last one leaves. It reads once for all of them.

A message's id names the run, and the message's number in it. A viewer that comes back within a run, and soon, is sent
what it missed. Otherwise it is asked to read anew (`reload`): without viewers nothing is read, so what has changed
meanwhile is unknown.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import uuid4

import structlog

from users_api.database import DatabaseUnavailable, in_time
from users_api.live.changes import LIMIT, look
from users_api.live.known import Known
from users_api.live.viewer import MISSED, Message, Viewer
from users_api.operating_schemas import FoundDelivery
from users_api.pool import Pool
from users_api.status.backlog import backlogs

POLL_SECONDS = 0.5
AWAY_SECONDS = 2.0
"""Seconds until the next look, while PostgreSQL is unavailable."""

STATUS_SECONDS = 2.0
STATUS_SHARE = 20
"""Counting takes at most this share of the time: after a slow count, the next one comes later."""

KEPT = 500
"""The most messages that are kept for viewers that come back."""

RELOAD = '{"reason":"It is unknown what has changed meanwhile. Read the lists again."}'
UNAVAILABLE = '{"reason":"PostgreSQL is unavailable. What changes is sent when it is back."}'

log: structlog.stdlib.BoundLogger = structlog.get_logger("users-api")


class Poller:
    """Reads by `pool` for `viewers`, which change while it runs. `wake`: set it, and the poller looks at once."""

    def __init__(self, pool: Pool, viewers: Collection[Viewer]) -> None:
        self.wake = asyncio.Event()
        self._pool = pool
        self._viewers = viewers
        self._run = uuid4().hex[:8]
        self._number = 0
        self._kept: deque[Message] = deque(maxlen=KEPT)
        self._known = Known()
        self._horizon: str | None = None
        self._is_away = False
        self._status: Message | None = None
        self._status_due = 0.0

    def greet(self, viewer: Viewer, last_id: str | None) -> None:
        """Send a viewer what it missed since `last_id`, and the newest counts."""
        missed = [] if last_id is None else self._since(last_id)
        for message in [Message(self._id(), "reload", RELOAD)] if missed is None else missed:
            viewer.send(message)
        if self._status:
            viewer.send(self._status)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.wake.clear()
            try:
                await self._look()
                await self._count()
                self._is_away = False
            except DatabaseUnavailable as error:
                if not self._is_away:
                    log.warning("live.unavailable", error=str(error))
                    self._send("unavailable", UNAVAILABLE)
                self._is_away, self._status = True, None
            except Exception:
                log.exception("live.crashed")
                self._is_away = True
            with suppress(TimeoutError):
                async with asyncio.timeout(AWAY_SECONDS if self._is_away else POLL_SECONDS):
                    await self.wake.wait()

    async def _look(self) -> None:
        """Send what has changed, and to new viewers how what they watch is."""
        new = [viewer for viewer in self._viewers if viewer.is_new]
        watched = [viewer.wanted for viewer in self._viewers]
        events = {wanted.event_id for wanted in watched if wanted.event_id}
        subjects = {wanted.subject for wanted in watched if wanted.subject}
        found = await in_time(look(self._pool, self._horizon, self._known.tracked, events, subjects))
        self._horizon = found.horizon
        for viewer in new:
            viewer.is_new = False
        for row in found.rows:
            self._known.track(row)
            self._show(row, new)
        if sum(row["changed"] for row in found.rows) >= LIMIT:
            self._known.track_nothing()
            self._send("missed", MISSED)

    def _show(self, row: dict[str, Any], new: list[Viewer]) -> None:
        """Send a delivery: if it has changed to all, otherwise to new viewers that watch it."""
        data = FoundDelivery.model_validate(row).model_dump_json()
        about = row["event_id"], row["subject"]
        if self._known.remember((row["event_id"], row["subscription"]), data) and row["changed"]:
            self._send("delivery", data, about)
        else:
            for viewer in new:
                viewer.send(Message(self._id(), "delivery", data, about))

    async def _count(self) -> None:
        """Now and then, count what each subscription has, and send that if it differs."""
        began = time.monotonic()
        if began < self._status_due:
            return
        counted = await in_time(backlogs(self._pool))
        self._status_due = began + max(STATUS_SECONDS, STATUS_SHARE * (time.monotonic() - began))
        data = json.dumps(
            {
                name: {state: each.model_dump() for state, each in backlog.states.items()}
                for name, backlog in counted.by_subscription.items()
            }
        )
        if self._status is None or self._status.data != data:
            self._status = self._send("status", data)

    def _send(self, kind: str, data: str, about: tuple[Any, str] | None = None) -> Message:
        self._number += 1
        message = Message(self._id(), kind, data, about)
        self._kept.append(message)
        for viewer in self._viewers:
            viewer.send(message)
        return message

    def _id(self) -> str:
        return f"{self._run}-{self._number}"

    def _since(self, last_id: str) -> list[Message] | None:
        """Return the messages after an id; None, if they are unknown."""
        run, _, text = last_id.partition("-")
        if run != self._run or not (text.isascii() and text.isdigit()):
            return None
        number = int(text)
        if not self._number - len(self._kept) <= number <= self._number:
            return None
        return list(self._kept)[len(self._kept) - (self._number - number) :]
