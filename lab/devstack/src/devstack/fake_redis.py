"""An in-memory Redis over TCP, for a laptop with no Redis: `python -m devstack.fake_redis --port N`.

The commands are fakeredis'. The connection handling is ours, because that of fakeredis' own TCP server hangs up
after any error reply (NOSCRIPT among them) and cuts replies larger than the socket's buffer. BLMOVE and
XREADGROUP BLOCK are mended too: theirs answer at once instead of waiting. One thread serves one connection; a
command holds the server's lock, and a blocking one gives it up while it waits.
"""

import select
import socket
import time
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import redis
from fakeredis._clients._tcp_server import encode_reply
from fakeredis._command_args_parsing import Timeout
from fakeredis._commands import command
from fakeredis._core import CommandItem, FakeServer
from fakeredis._helpers import SimpleError
from fakeredis._msgs import XGROUP_KEY_NOT_FOUND_MSG
from fakeredis._socket import FakeSocket

LIVENESS_CHECK = 0.25  # seconds between looks at whether a blocked client is still there


class Session(FakeSocket):
    """One client's connection; a reply is sent as soon as it is known."""

    def __init__(self, server: FakeServer, connection: socket.socket) -> None:
        super().__init__(server, 0, client_class=redis.Redis, client_info={"protocol_version": 2})
        self._connection = connection

    def put_response(self, msg: Any) -> None:
        """Send one reply, in the protocol version of the client."""
        self._connection.sendall(encode_reply(msg, self._client_info.protocol_version))

    # A missing list must not be answered at once, and a list that appears while we wait must be looked up again.
    @command(name="BLMOVE", fixed=(bytes, bytes, bytes, bytes, Timeout), flags="s")
    def blmove(self, source: bytes, target: bytes, pop: bytes, push: bytes, timeout: float) -> Any:
        """BLMOVE source target LEFT|RIGHT LEFT|RIGHT timeout."""
        return self._blocking(timeout, partial(self._move_if_any, source, target, pop, push))

    def _move_if_any(self, source: bytes, target: bytes, pop: bytes, push: bytes, first_pass: bool) -> Any:
        if source not in self._db:
            return None
        taken = CommandItem(source, self._db, item=self._db.get(source), default=[])
        given = taken if source == target else CommandItem(target, self._db, self._db.get(target), default=[])
        moved = self._lmove(taken, given, pop, push, first_pass)
        taken.writeback()
        if given is not taken:
            given.writeback()
        return moved

    @command(name="XREADGROUP", fixed=(bytes, bytes, bytes), repeat=(bytes,))
    def xreadgroup(self, const: bytes, group: bytes, consumer: bytes, *args: bytes) -> Any:
        """XREADGROUP GROUP group consumer ...; a missing stream is NOGROUP, as in Redis."""
        try:
            return super().xreadgroup(const, group, consumer, *args)
        except SimpleError as error:
            if error.value == XGROUP_KEY_NOT_FOUND_MSG:
                raise SimpleError("NOGROUP No such key or consumer group in XREADGROUP") from None
            raise

    def _xreadgroup(self, consumer_name: bytes, group_params: Any, *rest: Any) -> dict[bytes, Any] | None:
        # None means: wait on. As on a later pass, because the first one drops what it reads without COUNT.
        count, noack, min_idle_time, _ = rest
        return super()._xreadgroup(consumer_name, group_params, count, noack, min_idle_time, False) or None

    def _blocking(
        self, timeout: float | None, func: Callable[[bool], Any], shape: Callable[[Any], Any] | None = None
    ) -> Any:
        """Wait for `func` to find something, at most `timeout` seconds and while the client is there."""
        deadline = time.monotonic() + (timeout or float("inf"))
        found = func(True)
        while found is None and not self._in_transaction and time.monotonic() < deadline and not self._gone():
            self._db.condition.wait(min(LIVENESS_CHECK, max(0.0, deadline - time.monotonic())))
            found = func(False)
        return shape(found) if shape else found

    def _gone(self) -> bool:
        readable, _, _ = select.select([self._connection], [], [], 0)
        return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)


class Handler(BaseRequestHandler):
    """Feeds a connection's bytes to its session until the client hangs up."""

    def handle(self) -> None:
        """Serve one connection."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(self.server.redis, self.request)  # type: ignore[attr-defined]  # FakeRedisServer's
        try:
            while received := self.request.recv(65536):
                session.sendall(received)
        except OSError:
            pass  # the client went away in mid-reply
        finally:
            session.close()


class FakeRedisServer(ThreadingTCPServer):
    """Serves one FakeServer on a TCP port of this machine."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        self.redis = FakeServer(version=(7, 4))
        super().__init__(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    FakeRedisServer(parser.parse_args().port).serve_forever()
