"""An HTTP server that misbehaves on cue, over real sockets, and keeps the requests that it read."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Self

DROP = b"<drop>"
HANG = b"<hang>"
DRIBBLE = b"<dribble>"


@dataclass(frozen=True)
class Received:
    """A request: its first line's method and target, its headers by lower-case name, its body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a whole answer; a header's underscores become dashes."""
    fields = {"content-length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode() + body


@dataclass
class ScriptedHttpServer:
    """Answers each request with the next of `script`, or what `script` returns for it; then with `default`.

    An answer is bytes. DROP closes the connection, HANG is silence until the test ends, and DRIBBLE is one byte of a
    header every 20 ms for ever; each may follow other bytes. `tls`: with it the server speaks TLS.
    """

    script: "list[bytes] | Callable[[Received], bytes]" = field(default_factory=list)
    default: bytes = answer(200, b"{}")
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        self._stopped = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._stopped.is_set():
                connection, _ = self._listener.accept()
                self._sockets.append(connection)
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), self._encrypted(connection) as stream, stream.makefile("rb") as reader:
            while request := _read(reader):
                with self._lock:
                    self.requests.append(request)
                    text = self._next(request)
                if not self._play(stream, text):
                    return

    def _encrypted(self, connection: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(connection, server_side=True) if self.tls else connection

    def _next(self, request: Received) -> bytes:
        if callable(self.script):
            return self.script(request)
        return self.script.pop(0) if self.script else self.default

    def _play(self, connection: socket.socket, text: bytes) -> bool:
        """Send an answer; return whether the connection goes on."""
        for mark in (DROP, HANG, DRIBBLE):
            if mark in text:
                connection.sendall(text.partition(mark)[0])
                if mark == DRIBBLE:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                while mark != DROP and not self._stopped.wait(0.02):
                    if mark == DRIBBLE:
                        connection.sendall(b"x")
                return False
        connection.sendall(text)
        return True


def _read(reader: BinaryIO) -> Received | None:
    first = reader.readline().decode("latin-1").split()
    if len(first) != 3 or not first[2].startswith("HTTP/1."):  # a TLS hello may contain a newline and two blanks
        return None
    headers: dict[str, str] = {}
    while line := reader.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Received(first[0], first[1], headers, reader.read(int(headers.get("content-length", 0))))
