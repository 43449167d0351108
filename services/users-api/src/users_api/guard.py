"""How many connections there may be, and which of them have been too slow.

When all are taken, a few spare ones remain for `/livez` and `/readyz`: an orchestrator that probes the process must not
mistake an attack, or a crowd, for its death.
"""

import asyncio
import resource
from collections import Counter
from contextlib import suppress
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from users_api import metrics
from users_api.problems import Problem, problem_response

log: structlog.stdlib.BoundLogger = structlog.get_logger("users-api")

LINGER_SECONDS = 2.0
"""For how long a refused client may go on sending before it reads the answer."""

SPARE_SECONDS = 1.0
"""For how long a spare connection waits for a request."""

OWN_FILES = 48
"""Open files of the process itself: its pool, its sockets, its modules, and connections being closed."""

FILES_PER_CONNECTION = 2
"""The connection, and a file that is sent on it."""

_PROBES = {"/livez", "/readyz"}
_FULL = "All connections are taken. Try again."


class Guarded(Protocol):
    """A connection, as the guard sees it."""

    @property
    def is_answering(self) -> bool:
        """Is a request being handled?"""

    def look(self, now: float, seconds: float) -> None:
        """Drop a client that has been too slow for more than `seconds`."""

    def cut(self, reason: str) -> None:
        """Close at once."""


class Guard:
    """The connections of a process: at most `limit`, and `spare` for probes; `seconds` for a head, and for a body."""

    def __init__(self, seconds: float = 10.0, limit: int = 1000, spare: int = 16) -> None:
        self._seconds, self._limit, self._spares = seconds, limit, spare
        self._ordinary: set[Guarded] = set()
        self._spare: dict[Guarded, None] = {}  # oldest first
        self._dropped: Counter[str] = Counter()

    def admit(self, connection: Guarded) -> bool:
        """Count a new connection; return False for one that may only probe.

        When the spare ones are taken as well, the oldest that hasn't sent its request is closed: a probe sends its
        request at once.
        """
        if len(self._ordinary) < self._limit:
            self._ordinary.add(connection)
            return True
        self._spare[connection] = None
        if len(self._spare) > self._spares:
            waiting = next((spare for spare in self._spare if not spare.is_answering), connection)
            del self._spare[waiting]
            waiting.cut("no_room")
        return False

    def release(self, connection: Guarded) -> None:
        """Forget a connection that is closed."""
        self._ordinary.discard(connection)
        self._spare.pop(connection, None)

    def count(self, reason: str) -> None:
        """Count a connection that is dropped."""
        metrics.count_dropped(reason)
        self._dropped[reason] += 1

    async def sweep(self) -> None:
        """Drop every client that has been too slow. The server calls this once a second."""
        now = asyncio.get_running_loop().time()
        for connection in list(self._ordinary):
            connection.look(now, self._seconds)
        for connection in list(self._spare):
            connection.look(now, min(self._seconds, SPARE_SECONDS))
        metrics.show_connections(len(self._ordinary) + len(self._spare))
        if self._dropped:
            log.warning("connections.dropped", **self._dropped)
            self._dropped.clear()


class ProbesOnly:
    """The application on a spare connection: everything but a probe gets 503."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["path"] in _PROBES:
            await self._app(scope, receive, send)
        else:
            answer = problem_response(503, Problem(503, _FULL).body, {"Retry-After": "2"})
            await answer(scope, receive, send)


def affordable(limit: int, spare: int) -> int:
    """Return how many connections there can be besides the spare ones: `limit`, or as many as open files allow.

    Raises the process's soft limit of open files as far as needed.
    """
    wanted = OWN_FILES + FILES_PER_CONNECTION * (limit + spare)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limit
    files_allow = max(1, (soft - OWN_FILES) // FILES_PER_CONNECTION - spare)
    log.warning("connections.limited", wanted=limit, allowed=files_allow, open_files=soft)
    return files_allow
