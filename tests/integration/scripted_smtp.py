"""A mail server that misbehaves on cue, over real sockets, and remembers what it was told."""

import re
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

from tests.patience import PATIENCE

DROP = "<drop>"  # close the connection, after whatever text comes before it
DROP_LATE = "<drop late>"  # close it after `late` seconds
HANG = "<hang>"  # say no more, after whatever text comes before it
DRIBBLE = "<dribble>"  # one byte every 20 ms, for ever
SLOW = "<slow>"  # before a reply: it comes after half a second

_ENDING = re.compile(f"(.*?)({DROP}|{DROP_LATE}|{HANG}|{DRIBBLE}|)", re.DOTALL)
_REPLIES = {
    "connect": "220 scripted",
    "ehlo": "250-scripted\r\n250 8BITMIME",
    "data": "354 go ahead",
    "quit": f"221 bye{DROP}",
}
_PIPELINING = "250-scripted\r\n250-8BITMIME\r\n250 PIPELINING"


class ScriptedSmtpServer:
    """Answers each verb with the next reply of its script, then as a good server does. `pipelining`: offers that.

    Stages: connect, ehlo, helo, starttls, auth, mail, rcpt, data, content (the reply after the final dot), rset,
    quit. `content` scripted as DROP drops after reading all of it.
    """

    late = 1.5
    pipelining = False

    def __init__(self, **script: list[str]) -> None:
        self.script = {stage: list(replies) for stage, replies in script.items()}
        self.script.setdefault("ehlo", [_PIPELINING] * 99 if self.pipelining else [])
        self.commands: list[str] = []
        self.contents: list[bytes] = []
        self.connections = 0
        self._stopped = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(PATIENCE)

    def drop_connections(self) -> None:
        """Hang up on everyone, as a restart or an idle timeout does."""
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def verbs(self) -> list[str]:
        """What was asked, without arguments."""
        return [command.split(" ")[0].upper() for command in self.commands]

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._sockets.append(sock)
                self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as file, suppress(OSError, _Over):
            self._reply(sock, "connect")
            wanted = True
            while line := file.readline():
                command = line.decode(errors="replace").rstrip("\r\n")
                self.commands.append(command)
                verb = command.split(" ")[0].lower()
                wanted = wanted or verb == "mail"
                reply = self._reply(sock, verb, wanted=wanted or verb not in ("rcpt", "data"))
                wanted = wanted and not (verb in ("mail", "rcpt") and reply[:1] != "2")
                if reply.startswith("354"):
                    self.contents.append(_read_content(file))
                    self._reply(sock, "content")

    def _reply(self, sock: socket.socket, stage: str, *, wanted: bool = True) -> str:
        """Play the stage's next part, which may end the connection. `wanted`: it's in order, after what was said."""
        scripted = self.script.get(stage, [])
        reply = scripted.pop(0) if scripted else _REPLIES.get(stage, "250 ok") if wanted else "503 out of order"
        if reply.startswith(SLOW):
            self._stopped.wait(0.5)
        text, ending = _ENDING.fullmatch(reply.removeprefix(SLOW)).groups()  # type: ignore[union-attr]
        if text:
            sock.sendall(f"{text}\r\n".encode())
        while ending == DRIBBLE and not self._stopped.wait(0.02):
            sock.sendall(b"2")
        if ending in (HANG, DROP_LATE):
            self._stopped.wait(self.late if ending == DROP_LATE else None)
        if ending:
            raise _Over
        return str(text)


class _Over(Exception):
    """The script ends this connection."""


def _read_content(file: BinaryIO) -> bytes:
    """Read to the final dot and take the stuffed dots off, as RFC 5321 says. Without the dot it is no mail."""
    lines = []
    while (line := file.readline()) != b".\r\n":
        if not line:
            raise _Over
        lines.append(line.removeprefix(b"."))
    return b"".join(lines)
