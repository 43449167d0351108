"""`python -m benchmarks.sink --port N`: an SMTP server that only notes who was written to, and when.

It shares the machine with what is measured, so it is lean: one protocol object for each connection, no parsing of
mails. It offers PIPELINING, 8BITMIME and SMTPUTF8, and answers pipelined commands in one write. The harness asks
it over the same port: `XCOUNT` (mails so far) and `XTAKE` (all of them as one line of JSON, and forget them).
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from typing import cast

import uvloop

END = b"\r\n.\r\n"
OK = b"250 OK\r\n"


class Sink:
    """What was accepted: the time and the recipient of each mail, in order."""

    def __init__(self) -> None:
        self.accepted: list[tuple[float, str]] = []

    def take(self) -> bytes:
        """Return everything as JSON, and forget it."""
        taken, self.accepted = self.accepted, []
        return json.dumps(taken).encode()


class Conversation(asyncio.Protocol):
    """One SMTP connection."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._recipients: list[str] = []
        self._in_data = False
        self._commands: dict[bytes, Callable[[bytes], bytes]] = {
            b"EHLO": lambda _: b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            b"HELO": lambda _: b"250 sink\r\n",
            b"MAIL": self._reset,
            b"RCPT": self._add_recipient,
            b"DATA": self._begin_data,
            b"RSET": self._reset,
            b"NOOP": lambda _: OK,
            b"QUIT": lambda _: b"221 Bye\r\n",
            b"XCOUNT": lambda _: b"250 %d\r\n" % len(sink.accepted),
            b"XTAKE": lambda _: b"250 " + sink.take() + b"\r\n",
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer every command that is complete, and take every mail that is."""
        self._buffer += data
        replies = bytearray()
        quitting = False
        while not quitting and (reply := self._take_mail() if self._in_data else self._take_command()) is not None:
            replies += reply
            quitting = reply.startswith(b"221")
        if replies:
            self._transport.write(bytes(replies))
        if quitting:
            self._transport.close()

    def _take_command(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        answer = self._commands.get(line.partition(b" ")[0].upper())
        return answer(line) if answer else b"500 What?\r\n"

    def _take_mail(self) -> bytes | None:
        """Take what ends with a lone dot; a mail's own dots are doubled, so the first lone one is the end."""
        if self._buffer.startswith(END[2:]):
            end, length = 0, 3
        else:
            end, length = self._buffer.find(END), len(END)
        if end < 0:
            return None
        del self._buffer[: end + length]
        self._in_data = False
        now = time.time()
        self._sink.accepted.extend((now, recipient) for recipient in self._recipients)
        self._reset(b"")
        return OK

    def _reset(self, _line: bytes) -> bytes:
        self._recipients = []
        return OK

    def _add_recipient(self, line: bytes) -> bytes:
        self._recipients.append(line.partition(b"<")[2].partition(b">")[0].decode())
        return OK

    def _begin_data(self, _line: bytes) -> bytes:
        if not self._recipients:
            return b"503 Recipients first\r\n"
        self._in_data = True
        return b"354 Go on\r\n"


async def serve(port: int) -> None:
    """Listen on 127.0.0.1 until killed."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: Conversation(sink), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
