"""A TCP proxy in front of PostgreSQL that cuts connections while they commit."""

import asyncio
import random
import threading
from contextlib import suppress

from devstack.ports import free_port

COMMIT = b"urn:herald:user_registered"
"""What only a group of registrations (one statement and its commit) contains: an event."""


class CutProxy:
    """Stands in front of PostgreSQL's `port`, and cuts a `share` of commits, half before they arrive and half after."""

    def __init__(self, port: int, dice: random.Random, *, share: float) -> None:
        self.port = free_port()
        self.cut_before = 0
        self.cut_after = 0
        self._to = port
        self._dice = dice
        self._share = share
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()

    def stop(self) -> None:
        """Cut every connection, and stop listening."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for listening in self._server.sockets:
            self._loop.remove_reader(listening)  # closed, it would forget the connections that it has just accepted
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in self._serving & tasks:  # a task accepted just now begins first, so that it can end
                task.cancel()
            await asyncio.wait(tasks, timeout=0.01)
        self._server.close()
        await asyncio.sleep(0)  # transports close in the next round

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():  # the loop alone would not hold it: it could vanish while it waits
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
        except (OSError, asyncio.CancelledError):
            to_client.transport.abort()
            return
        answers = asyncio.create_task(_pump(server, to_client))
        try:
            while data := await client.read(65536):
                if COMMIT in data and self._dice.random() < self._share:
                    await self._cut(data, server, to_server, answers)
                    break
                to_server.write(data)
                await to_server.drain()
        except (OSError, asyncio.CancelledError):
            pass  # an end like any other
        finally:
            answers.cancel()
            to_server.transport.abort()
            to_client.transport.abort()

    async def _cut(
        self, data: bytes, server: asyncio.StreamReader, to_server: asyncio.StreamWriter, answers: "asyncio.Task[None]"
    ) -> None:
        if self._dice.random() < 0.5:  # a coin
            self.cut_before += 1
            return
        self.cut_after += 1
        answers.cancel()
        await asyncio.wait({answers})
        to_server.write(data)
        await server.read(65536)  # committed, but the client gets no answer


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
