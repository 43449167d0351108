"""Who looks on: the viewers of this process, and the poller that runs while there is one."""

import asyncio

from users_api.live.poller import Poller
from users_api.live.viewer import Filter, Viewer
from users_api.pool import Pool

MOST = 100
"""The most viewers of a process. Each occupies a connection (MAX_CONNECTIONS) for as long as it looks on."""


class Live:
    """The viewers of one process. Its methods are called in the thread of its event loop."""

    def __init__(self, pool: Pool, most: int = MOST) -> None:
        self._pool = pool
        self._most = most
        self._viewers: set[Viewer] = set()
        self._poller: Poller | None = None
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether no further viewer is admitted."""
        return self._closed or len(self._viewers) >= self._most

    def join(self, wanted: Filter, last_id: str | None) -> Viewer:
        """Admit a viewer. `last_id`: of the last message that it has had, if it comes back."""
        viewer = Viewer(wanted)
        self._viewers.add(viewer)
        if self._poller is None:
            self._poller = Poller(self._pool, self._viewers)
            self._running = asyncio.create_task(self._poller.run(), name="live")
        self._poller.greet(viewer, last_id)
        self._poller.wake.set()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer. The last one ends the poller."""
        self._viewers.discard(viewer)
        if not self._viewers and self._running:
            self._running.cancel()
            self._poller = self._running = None

    def close(self) -> None:
        """End every stream, and admit no further viewer: the server is stopping."""
        self._closed = True
        for viewer in self._viewers:
            viewer.end()
