"""`python -m benchmarks.client`: the load, raw HTTP/1.1 over kept-alive connections, as lean as asyncio allows.

It shares the cores with what is measured, so a request costs it a few system calls and no parsing beyond the status.
Prints one JSON object: for every request `[number, sent, answered, status]` (wall clock in seconds; 0 when the
connection broke before an answer came), and the CPU seconds that the client itself used.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import cast

import uvloop

Record = tuple[int, float, float, int]

BODY = '{{"email":"{prefix}{number}@example.com","full_name":"Maya Chen {number}"}}'
REQUEST = (
    "POST /users HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {length}"
    "\r\n\r\n{body}"
)


def request(port: int, prefix: str, number: int) -> bytes:
    """Write one registration; its address is `<prefix><number>@example.com`."""
    body = BODY.format(prefix=prefix, number=number)
    return REQUEST.format(port=port, length=len(body), body=body).encode()


class Connection(asyncio.Protocol):
    """One kept-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answered: asyncio.Future[int] | None = None
        self.broken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def send(self, message: bytes) -> "asyncio.Future[int]":
        """Send a request; the future's result is the status, 0 when the connection breaks."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        if self.broken:
            self._answered.set_result(0)
        return self._answered

    def data_received(self, data: bytes) -> None:
        """Resolve the request once head and body are there."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(self._buffer) >= end + 4 + length:
            status = int(self._buffer[9:12])
            self._buffer = self._buffer[end + 4 + length :]
            self._resolve(status)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note that no answer comes any more."""
        self.broken = True
        self._resolve(0)

    def _resolve(self, status: int) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_result(status)


class Load:
    """Registrations to one port; `records` has all that were sent, in the order of their answers."""

    def __init__(self, port: int, prefix: str) -> None:
        self._port = port
        self._prefix = prefix
        self.records: list[Record] = []

    async def burst(self, registrations: int, concurrency: int) -> None:
        """Send as fast as answers come, over so many connections, until all are sent or connections break."""
        numbers = iter(range(registrations))
        await asyncio.gather(*(self._drain(numbers) for _ in range(concurrency)))

    async def paced(self, registrations: int, mean: float, spread: float) -> None:
        """Send at random moments, whatever the answers do: `mean` seconds apart.

        `spread`: 0 for exponential gaps (a Poisson process), else the share of the mean that a gap differs by at most.
        """
        idle: list[Connection] = []
        sent = set()
        for number in range(registrations):
            share = random.uniform(1 - spread, 1 + spread) if spread else random.expovariate(1)  # noqa: S311
            await asyncio.sleep(mean * share)
            connection = idle.pop() if idle and not idle[-1].broken else await self._connect()
            task = asyncio.create_task(self._once(connection, number))
            task.add_done_callback(partial(_put_back, idle, connection))
            sent.add(task)
        await asyncio.gather(*sent)

    async def _drain(self, numbers: Iterator[int]) -> None:
        connection = await self._connect()
        for number in numbers:
            await self._once(connection, number)
            if connection.broken:
                return

    async def _once(self, connection: Connection, number: int) -> None:
        message = request(self._port, self._prefix, number)
        began = time.time()
        status = await connection.send(message)
        self.records.append((number, began, time.time() if status else 0.0, status))

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        return connection


def _put_back(idle: list[Connection], connection: Connection, _task: "asyncio.Task[None]") -> None:
    idle.append(connection)


def main() -> None:
    """Parse the arguments, send, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--registrations", type=int, required=True)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument(
        "--mean", type=float, help="Seconds between registrations; as fast as answers come, if left out."
    )
    parser.add_argument("--spread", type=float, default=0.0)
    given = parser.parse_args()
    load = Load(given.port, given.prefix)
    if given.mean is None:
        uvloop.run(load.burst(given.registrations, given.concurrency))
    else:
        uvloop.run(load.paced(given.registrations, given.mean, given.spread))
    json.dump({"records": load.records, "cpu": time.process_time()}, sys.stdout)


if __name__ == "__main__":
    main()
