"""What the poller remembers between two looks, in bounded memory."""

from typing import Any
from uuid import UUID

from messaging.publishing.states import UNFINISHED

TRACKED = 500
"""The most events whose unfinished deliveries are followed by their key."""

REMEMBERED = 2_000
"""The most deliveries of which it is remembered what was sent last."""


class Known:
    """Which deliveries are unfinished, and what was last sent of each. The oldest is forgotten first."""

    def __init__(self) -> None:
        self._unfinished: dict[UUID, set[str]] = {}
        self._sent: dict[tuple[UUID, str], int] = {}

    @property
    def tracked(self) -> list[UUID]:
        """The events to look at again, because a delivery of theirs is unfinished."""
        return list(self._unfinished)

    def track(self, row: dict[str, Any]) -> None:
        """Track a delivery while it is unfinished."""
        event_id, subscription = row["event_id"], row["subscription"]
        if row["state"] in UNFINISHED:
            self._unfinished.setdefault(event_id, set()).add(subscription)
            if len(self._unfinished) > TRACKED:
                del self._unfinished[next(iter(self._unfinished))]
        elif subscriptions := self._unfinished.get(event_id):
            subscriptions.discard(subscription)
            if not subscriptions:
                del self._unfinished[event_id]

    def track_nothing(self) -> None:
        """Forget what is unfinished: more changes than can be followed."""
        self._unfinished.clear()

    def remember(self, key: tuple[UUID, str], data: str) -> bool:
        """Remember what is sent of a delivery. Return whether it differs from what was sent before."""
        before = self._sent.pop(key, None)
        self._sent[key] = hash(data)
        if len(self._sent) > REMEMBERED:
            del self._sent[next(iter(self._sent))]
        return before != self._sent[key]
