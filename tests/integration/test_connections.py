"""Clients that are endless, slow or too many take nothing from the others. Real processes, real sockets."""

import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from devstack.ports import free_port

from .live_api import MAYA, is_problem
from .workers import until

HEAD = b"POST /users HTTP/1.1\r\nHost: herald\r\nContent-Type: application/json\r\n"
PING = b"GET /livez HTTP/1.1\r\nHost: herald\r\n\r\n"
MIB = 2**20


@dataclass(frozen=True)
class Api:
    """`users-api serve`, as a process."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def http(self) -> httpx.Client:
        """A client that keeps no connection."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers={"Connection": "close"}, timeout=20)

    def connect(self, *sent: bytes) -> socket.socket:
        """Open a connection and send something."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        for data in sent:
            client.sendall(data)
        return client

    def clients(self) -> set[tuple[str, int]]:
        """Return who is connected."""
        return {each.raddr for each in psutil.Process(self.process.pid).net_connections() if each.raddr}

    def memory(self) -> int:
        """Return the bytes of memory that it holds."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def users_api(database: str, files: int | None = None, **settings: object) -> Iterator[Api]:
    """Run the process until the block ends, with at most so many open files."""
    port = free_port()
    program = str(Path(sys.executable).with_name("users-api"))
    given = {name: str(value) for name, value in settings.items()}
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database, "PORT": str(port), **given}

    def limit_files() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with subprocess.Popen([program, "serve"], env=environment, preexec_fn=limit_files) as process:  # noqa: PLW1509
        try:
            api = Api(process, port)
            until(lambda: is_alive(port))
            yield api
        finally:
            process.terminate()


def is_alive(port: int) -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", port))) as client:
            client.sendall(PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return answers(client) != b""
    except ConnectionRefusedError:
        return False


def answers(client: socket.socket) -> bytes:
    """Read until the server closes."""
    with closing(client):
        parts = []
        while part := client.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def is_closed(client: socket.socket) -> bool:
    """Read until the server closes, however it does."""
    try:
        answers(client)
    except ConnectionResetError:
        return True
    return True


def problem(answer: bytes) -> tuple[int, str]:
    """Return status and detail of the one answer that was given, as the standard wants it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().splitlines()
    assert {"content-type: application/problem+json", "connection: close"} <= set(lines)
    told = json.loads(body)
    assert lines[0].startswith(f"http/1.1 {told['status']} ")
    return told["status"], told["detail"]


def endlessly(client: socket.socket, data: bytes, most: int) -> None:
    """Send the same again and again, until that is enough or the server has closed."""
    try:
        for _ in range(most // len(data)):
            client.sendall(data)
    except OSError:
        pass


@pytest.fixture(scope="module")
def nowhere() -> str:
    """A database that nothing here needs."""
    return "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(scope="module")
def api(nowhere: str) -> Iterator[Api]:
    with users_api(nowhere) as api:
        yield api


@pytest.fixture(scope="module")
def hasty(nowhere: str) -> Iterator[Api]:
    """One that waits for a second."""
    with users_api(nowhere, REQUEST_TIMEOUT=1) as api:
        yield api


# Endless

ENDLESS = {
    "headers": (b"GET /livez HTTP/1.1\r\n", b"a:b\r\n" * 10_000),
    "one header's value": (b"GET /livez HTTP/1.1\r\na: ", b"b" * 50_000),
    "one header's name": (b"GET /livez HTTP/1.1\r\n", b"b" * 50_000),
    "headers of a body": (HEAD + b"Transfer-Encoding: chunked\r\n", b"a:b\r\n" * 10_000),
    "URL": (b"GET /", b"x" * 50_000),
    "query": (b"GET /users?", b"x" * 50_000),
    "method": (b"", b"G" * 50_000),
    "empty lines": (b"", b"\r\n" * 25_000),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1388\r\n" + b"x" * 5_000 + b"\r\n"),
    "empty-looking chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 8_000),
    "a chunk's extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 50_000),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a:b\r\n" * 10_000),
    "one trailer": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\na:", b"b" * 50_000),
    "a body nobody reads": (b"GET /livez HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", b"x" * 50_000),
    "requests at once": (b"", PING * 1_000),
}


@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=ENDLESS.keys())
def test_what_is_endless_takes_no_memory(api: Api, begin: bytes, more: bytes) -> None:
    before = api.memory()

    with closing(api.connect(begin)) as client:
        endlessly(client, more, 25 * MIB)
        grown = api.memory() - before

    assert grown < 10 * MIB
    assert api.http.get("/livez").status_code == 200


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("head", [b"GET /livez HTTP/1.1\r\n" + b"a:b\r\n" * 13_200, b"GET /" + b"x" * 65_536])
def test_a_head_of_over_64_kib_is_refused_and_told_so(api: Api, head: bytes, in_pieces: bool) -> None:
    half = len(head) // 2
    whole = head + (b" HTTP/1.1\r\n" if b"HTTP" not in head else b"") + b"\r\n"
    client = api.connect(*([whole[:half], whole[half:]] if in_pieces else [whole]))

    status, detail = problem(answers(client))

    assert status == 431
    assert "65536 bytes" in detail


def test_a_second_head_of_over_64_kib_is_refused_too(api: Api) -> None:
    client = api.connect(PING)
    assert client.recv(1_000).startswith(b"HTTP/1.1 200")
    client.sendall(b"GET /livez HTTP/1.1\r\n" + b"a:b\r\n" * 13_200 + b"\r\n")
    assert problem(answers(client))[0] == 431


def test_a_head_of_just_under_64_kib_is_read(api: Api) -> None:
    assert api.http.get("/livez", headers={"a": "b" * 65_000}).status_code == 200


def test_an_answer_to_an_endless_body_comes_through_before_the_connection_ends(api: Api) -> None:
    answer = api.http.post("/users", content=b"x" * 3 * MIB, headers={"Content-Type": "application/json"})
    assert is_problem(answer, 413)


def test_a_body_in_chunks_of_one_byte_is_read(api: Api) -> None:
    body = json.dumps(MAYA | {"padding": "x" * 60_000}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    sent = HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks + b"0\r\n\r\n"

    assert answers(api.connect(sent)).startswith(b"HTTP/1.1 503 "), "and waits for PostgreSQL, as it should"


@pytest.mark.parametrize("bad", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/3.7\r\n\r\n"])
def test_what_is_not_http_is_a_problem(api: Api, bad: bytes) -> None:
    assert problem(answers(api.connect(bad)))[0] == 400


# Slow


def test_who_never_finishes_a_head_or_a_body_is_told_so_and_dropped(hasty: Api) -> None:
    head = hasty.connect(HEAD)
    body = hasty.connect(HEAD + b"Content-Length: 99\r\n\r\n{")
    chunked = hasty.connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
    second = hasty.connect(PING + HEAD)

    for client in (head, body, chunked):
        status, detail = problem(answers(client))
        assert status == 408
        assert "within 1 s" in detail
    first_answer, _, second_answer = answers(second).partition(b'{"status":"alive"}')
    assert first_answer.startswith(b"HTTP/1.1 200")
    assert problem(second_answer)[0] == 408


@pytest.mark.parametrize("begin", [b"", b"\r\n", PING + b"\r\n"])
def test_who_says_nothing_is_dropped(hasty: Api, begin: bytes) -> None:
    assert is_closed(hasty.connect(begin))


def test_who_sends_a_byte_now_and_then_is_dropped_all_the_same(hasty: Api) -> None:
    for begin in (b"GET /", HEAD + b"Content-Length: 99\r\n\r\n"):
        with closing(hasty.connect(begin)) as client:
            client.settimeout(0.2)
            until(partial(has_answer_after_a_byte, client))


def has_answer_after_a_byte(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
        return bool(client.recv(100))
    except TimeoutError:
        return False


def test_who_does_not_read_is_dropped(hasty: Api) -> None:
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", hasty.port))
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: herald\r\n\r\n" * 16)
        until(lambda: client.getsockname() in hasty.clients())
        until(lambda: client.getsockname() not in hasty.clients())


def test_a_connection_between_requests_may_be_idle_and_the_next_request_has_all_its_time(hasty: Api) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{hasty.port}") as http:
        for _ in range(3):
            assert http.get("/livez").status_code == 200
            time.sleep(1.2)  # longer than a head may take, less than uvicorn keeps what is idle


# Many


def test_when_all_connections_are_taken_probes_are_answered_and_others_hear_why(nowhere: str) -> None:
    with users_api(nowhere, MAX_CONNECTIONS=5, PROBE_CONNECTIONS=2) as api, ExitStack() as crowd:
        for _ in range(10):
            crowd.enter_context(closing(api.connect(HEAD)))

        for _ in range(2):
            assert api.http.get("/livez").json() == {"status": "alive"}
            assert api.http.get("/readyz").json()["status"] == 503
            refused = api.http.get("/users")
            assert is_problem(refused, 503)
            assert refused.headers["retry-after"] == "2"
            assert refused.headers["connection"] == "close"


def test_when_a_connection_is_free_again_anyone_may_have_it(nowhere: str) -> None:
    with users_api(nowhere, MAX_CONNECTIONS=1) as api:
        with closing(api.connect(HEAD)):
            until(lambda: "taken" in api.http.get("/nowhere").text)
        until(lambda: api.http.get("/nowhere").status_code == 404)


def test_with_few_open_files_nobody_is_shut_out(users_database: str) -> None:
    with users_api(users_database, files=96) as api, ExitStack() as crowd:
        for sent in (HEAD, HEAD + b"Content-Length: 99\r\n\r\n{", b""):
            for _ in range(100):
                crowd.enter_context(closing(api.connect(sent)))

        for _ in range(5):
            assert api.http.get("/livez").status_code == 200
            assert api.http.get("/readyz").status_code == 200


def test_registrations_go_on_while_others_are_slow(users_database: str) -> None:
    with users_api(users_database, MAX_CONNECTIONS=200) as api, ExitStack() as crowd, ThreadPoolExecutor(8) as people:
        for sent in (HEAD, HEAD + b"Content-Length: 99\r\n\r\n{", b""):
            for _ in range(50):
                crowd.enter_context(closing(api.connect(sent)))
        statuses = people.map(partial(register, api), range(50))
        assert set(statuses) == {201}


def register(api: Api, number: int) -> int:
    return api.http.post("/users", json=MAYA | {"email": f"user{number}@example.com"}).status_code


def test_who_was_dropped_is_counted(hasty: Api) -> None:
    def dropped(reason: str) -> bool:
        name = f'herald_http_connections_dropped_total{{reason="{reason}"}} '
        return any(line.startswith(name) for line in hasty.http.get("/metrics").text.splitlines())

    assert problem(answers(hasty.connect(HEAD)))[0] == 408
    assert problem(answers(hasty.connect(b"GET /" + b"x" * 70_000)))[0] == 431
    assert dropped("slow_head")
    assert dropped("head_too_large")


# Upgrades, which nothing here takes

UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Empty:\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "anything": b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
}
SMUGGLED = b"GET /livez?smuggled HTTP/1.1\r\nA: b\r\n\r\n"
FRAMED = {
    "length": b"Content-Length: %d\r\n\r\n%b" % (len(SMUGGLED), SMUGGLED),
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
}
LAST = PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def status_lines(answer: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+) ", answer)


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("body", FRAMED.values(), ids=FRAMED.keys())
@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
def test_the_body_of_a_request_with_an_upgrade_is_its_body(
    api: Api, upgrade: bytes, body: bytes, in_pieces: bool
) -> None:
    sent = HEAD + upgrade + body + LAST
    pieces = [sent[at : at + 1] for at in range(len(sent))] if in_pieces else [sent]

    answer = answers(api.connect(*pieces))

    assert status_lines(answer) == [b"422", b"200"], "one answer to each request, and none to the body"
    assert b"JSON" in answer, "of what was sent, not of an empty body"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_nothing_is_read_after_a_last_request_with_an_upgrade(api: Api, version: bytes) -> None:
    head = HEAD.replace(b"1.1", version) + UPGRADES["h2c"].replace(b"Connection: ", b"Connection: close, ")
    assert status_lines(answers(api.connect(head + FRAMED["length"] + LAST))) == [b"422"]


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
def test_an_upgrade_is_ignored(api: Api, upgrade: bytes) -> None:
    begin = PING.removesuffix(b"\r\n") + upgrade + b"\r\n"
    assert status_lines(answers(api.connect(begin * 3 + LAST))) == [b"200"] * 4


def test_who_offers_http2_is_registered(users_database: str) -> None:
    body = json.dumps(MAYA | {"email": "h2c@example.com"}).encode()
    with users_api(users_database) as api:
        upgrade = UPGRADES["h2c"].replace(b"Connection: ", b"Connection: close, ")
        sent = HEAD + upgrade + b"Content-Length: %d\r\n\r\n" % len(body) + body
        assert status_lines(answers(api.connect(sent))) == [b"201"]


def test_a_large_head_with_an_upgrade_is_refused_too(api: Api) -> None:
    head = b"GET /livez HTTP/1.1\r\n" + UPGRADES["h2c"] + b"a:b\r\n" * 13_200 + b"\r\n"
    assert problem(answers(api.connect(head[:60_000], head[60_000:])))[0] == 431


def test_upgrades_at_once_are_as_few_as_other_requests(api: Api) -> None:
    begin = PING.removesuffix(b"\r\n") + UPGRADES["h2c"] + b"\r\n"
    assert is_closed(api.connect(begin * 100))


def test_no_connect_is_taken_and_nothing_after_it_is_read(api: Api) -> None:
    sent = b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\nContent-Length: 40\r\n\r\n"
    assert problem(answers(api.connect(sent + SMUGGLED)))[0] == 501


# Given up


def test_what_is_cut_off_while_it_is_answered_is_no_error(nowhere: str, capfd: pytest.CaptureFixture[str]) -> None:
    waiting = b"GET /users/1 HTTP/1.1\r\nHost: herald\r\n\r\n"
    with users_api(nowhere) as api:
        for requests in (PING * 30, waiting * 30, waiting * 3 + b"GARBAGE\r\n\r\n", b"GARBAGE\r\n\r\n"):
            assert is_closed(api.connect(requests))
        api.connect(waiting * 3).close()
        until(lambda: len(api.clients()) == 0)
        assert api.http.get("/users/1").status_code == 503, "and so have those before"

    logged = "".join(capfd.readouterr())
    assert "connections.dropped" in logged
    assert "Traceback" not in logged
    assert "Exception" not in logged
    assert "Invalid HTTP" not in logged, "what is counted needs no line of its own"
