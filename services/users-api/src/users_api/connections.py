"""Limits on what one client can take from the others: memory, time and connections.

uvicorn's protocol reads a head of any size, and waits for a client without limit. Here a request reads the clock a few
times, and once a second the guard's sweep over all connections finds the clients that are too slow.
"""

import asyncio
import json
from collections import deque
from enum import Enum
from http import HTTPStatus
from typing import ClassVar, cast
from weakref import WeakSet

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from users_api.guard import LINGER_SECONDS, Guard, ProbesOnly
from users_api.problems import Problem
from users_api.upgrades import IgnoreUpgrades

MAX_HEAD = 65_536
"""Bytes of a request's line and headers."""

MAX_FRAMED = 8 * 65_536
"""Bytes of a body with its chunk sizes and trailers. (`strict_route` limits the body alone.) 64 KiB in chunks of one
byte take less."""

MAX_PIPELINED = 16
"""Requests of one connection that may wait for the answers to earlier ones."""

_NO_TRAILERS: list[tuple[bytes, bytes]] = cast(list[tuple[bytes, bytes]], deque(maxlen=0))
"""Takes the headers that come after a body, and keeps none: uvicorn would add them to the request's."""


class Phase(Enum):
    """What the client is sending."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class Connection(IgnoreUpgrades):
    """One client. uvicorn makes it, of the class that `protocol` returns."""

    guard: ClassVar[Guard]

    # In slots: with more attributes than 30 in its dictionary, all of uvicorn's would be slower to read.
    __slots__ = (
        "_chunk",
        "_chunk_before",
        "_earlier",
        "_is_spare",
        "_owed_since",
        "_phase",
        "_received",
        "_refused",
        "_unread_since",
    )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for a request; on a spare connection, for a probe."""
        super().connection_made(transport)
        self._phase = Phase.NOTHING
        self._received = 0  # bytes of this phase, without those that arrived together with the end of the phase before
        self._chunk = self._chunk_before = 0  # bytes of the last read, and of the read that ended the message before
        self._owed_since: float | None = self.loop.time()  # since when the client has been sending something unfinished
        self._unread_since: float | None = None  # since when the client should have read, or closed
        self._refused = False
        self._earlier: WeakSet[RequestResponseCycle] | None = None  # pipelined before `cycle`, which is the last
        self._is_spare = not self.guard.admit(self)
        if self._is_spare:
            self.app = ProbesOnly(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another connection."""
        super().connection_lost(exc)
        self._abandon_requests()
        self.guard.release(self)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, unless it is too much."""
        if self._refused:
            return
        if self._owed_since is None:
            self._owed_since = self.loop.time()
        self._chunk = len(data)
        self._received += self._chunk
        self._read(data)
        if self._received > (MAX_FRAMED if self._phase is Phase.BODY else MAX_HEAD):
            self._refuse_size()

    def on_message_begin(self) -> None:
        """Wait for the head."""
        super().on_message_begin()
        self._phase, self._owed_since = Phase.HEAD, self.loop.time()

    def on_headers_complete(self) -> None:
        """Begin to answer, and wait for the body. (A request with an upgrade comes twice: see `upgrades`.)"""
        before = self.cycle
        if self._received + self._chunk_before > MAX_HEAD or self.pipeline:  # rare
            self._check_head()
        self._phase, self._received, self._owed_since = Phase.BODY, 0, self.loop.time()
        super().on_headers_complete()
        self.headers = _NO_TRAILERS
        if self.pipeline:
            self._earlier = self._earlier or WeakSet()
            self._earlier.add(before)
        if self._is_spare and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Expect nothing more from the client."""
        self._phase, self._received, self._owed_since = Phase.NOTHING, 0, None
        self._chunk_before = self._chunk
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        self._unread_since = None

    @property
    def is_answering(self) -> bool:
        """Is a request being handled?"""
        return not self._refused and self.cycle is not None and not self.cycle.response_complete

    def look(self, now: float, seconds: float) -> None:
        """Drop a client that has taken more than `seconds` to send, to read or to close."""
        if self._unread_since is None and self.transport.is_closing():
            self._unread_since = now
        if self._owed_since is not None and self.flow.read_paused:
            self._owed_since = now  # the client may not send now
        if self._unread_since is not None:
            if now - self._unread_since > (LINGER_SECONDS if self._refused else seconds):
                self.cut("not_reading")
        elif self._owed_since is not None and now - self._owed_since > seconds:
            self._refuse_slow(seconds)

    def cut(self, reason: str) -> None:
        """Close at once, whatever is under way."""
        if not self._refused:
            self._refused = True
            self.guard.count(reason)
        self._abandon_requests()
        self.transport.abort()

    def _abandon_requests(self) -> None:
        """Mark the requests being handled as disconnected; otherwise they would fail when they write."""
        if self.cycle is not None:
            for cycle in (self.cycle, *(self._earlier or ())):
                _abandon(cycle)

    def _read(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parse(data)
        except HttpParserError:  # if a callback raised it, it is answered already
            self._refuse(400, "This is no request of HTTP/1.1.", "not_http")

    def refuse_connect(self) -> None:
        """Refuse CONNECT."""
        self._refuse(501, "CONNECT isn't supported.", "connect")

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD:
            self._refuse_size()
        elif len(self.pipeline) >= MAX_PIPELINED:
            self.cut("pipelined")
        if self._refused:
            raise HttpParserError  # so that nothing more is parsed

    def _refuse_size(self) -> None:
        if self._phase is Phase.BODY:
            self._refuse(413, "The body comes in too many bytes.", "body_too_large")
        else:
            self._refuse(431, f"The request line and headers are larger than {MAX_HEAD} bytes.", "head_too_large")

    def _refuse_slow(self, seconds: float) -> None:
        if self._phase is Phase.NOTHING:
            self.cut("silent")
        else:
            self._refuse(408, f"The request wasn't complete within {seconds:g} s.", f"slow_{self._phase.value}")

    def _refuse(self, status: int, detail: str, reason: str) -> None:
        """Answer in place of the application, and discard what still arrives until the client closes.

        (Closing at once could destroy the answer on its way.) A client that waits for earlier answers gets no answer:
        it would take this one for one of them.
        """
        if self._refused:
            return
        request = self.cycle if self._phase is Phase.BODY else None
        if self.pipeline or (self.is_answering and (request is None or request.response_started)):
            self.cut(reason)
            return
        self._refused, self._unread_since = True, self.loop.time()
        self.guard.count(reason)
        if request is None or not request.response_started:
            self.transport.write(_problem(status, detail))
        if request is not None:
            _abandon(request)
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write_eof()


def protocol(guard: Guard) -> type[asyncio.Protocol]:
    """Return the class of connections that a guard watches, as uvicorn's `http`."""
    return type("GuardedConnection", (Connection,), {"guard": guard, "__slots__": ()})


def _abandon(request: RequestResponseCycle) -> None:
    request.disconnected = True
    request.message_event.set()


def _problem(status: int, detail: str) -> bytes:
    body = json.dumps(Problem(status, detail).body).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
