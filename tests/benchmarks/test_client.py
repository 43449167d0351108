import asyncio
import json

import pytest

from benchmarks import load

ANSWER = b"HTTP/1.1 201 Created\r\ncontent-length: 8\r\n\r\n" + b'{"id":1}'


class Api:
    """Answers 201 in two pieces; breaks the connection at the request numbered `breaks_at`."""

    def __init__(self, breaks_at: int = -1) -> None:
        self.bodies: list[dict[str, str]] = []
        self.breaks_at = breaks_at
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.bodies.append(json.loads(await reader.readexactly(length)))
            if len(self.bodies) == self.breaks_at:
                break
            writer.write(ANSWER[:30])
            await writer.drain()
            await asyncio.sleep(0.001)
            writer.write(ANSWER[30:])
        writer.close()


async def run(api: Api, registrations: int, *options: str) -> load.Answers:
    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await api.serve(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.to_thread(lambda: load.collect(load.start(port, "t", registrations, *options), "t"))


def test_every_registration_is_sent_once_and_answered() -> None:
    api = Api()

    answers = asyncio.run(run(api, 50, "--concurrency", "4"))

    assert sorted(body["email"] for body in api.bodies) == sorted(f"t{number}@example.com" for number in range(50))
    assert set(answers.answered) == {body["email"] for body in api.bodies}
    assert api.connections == 4
    assert all(0 < latency < 5 for latency in answers.latencies)
    assert answers.cpu > 0


def test_paced_registrations_come_at_their_own_time() -> None:
    answers = asyncio.run(run(Api(), 10, "--mean", "0.01"))

    assert len(answers.answered) == 10


def test_a_broken_connection_is_no_answer_and_ends_that_connection_alone() -> None:
    answers = asyncio.run(run(Api(breaks_at=5), 20, "--concurrency", "2"))

    assert len(answers.records) == 20
    assert [status for *_, status in answers.records].count(0) == 1
    assert len(answers.latencies) == 19


def test_nobody_listening_is_an_error_that_says_so() -> None:
    from benchmarks.errors import BenchmarkError
    from devstack.ports import free_port

    with pytest.raises(BenchmarkError, match="load client failed"):
        load.burst(free_port(), "t", 1, 1)
