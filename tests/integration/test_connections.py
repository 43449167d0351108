"""Clients that are endless, slow or too many take nothing from the others. Real processes, real sockets."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial

import httpx
import pytest
from tests.patience import PATIENCE, until

from .api_process import HEAD, NOWHERE, PING, Api, answers, is_closed, problem, users_api
from .live_api import MAYA, is_problem

MIB = 2**20


def endlessly(client: socket.socket, data: bytes, most: int) -> None:
    """Send the same again and again, until that is enough or the server has closed."""
    try:
        for _ in range(most // len(data)):
            client.sendall(data)
    except OSError:
        pass


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with users_api(NOWHERE) as api:
        yield api


@pytest.fixture(scope="module")
def hasty() -> Iterator[Api]:
    """One that waits for a second."""
    with users_api(NOWHERE, REQUEST_TIMEOUT=1) as api:
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
    answer = b""
    while not answer.endswith(b"}"):  # head and body may come apart
        answer += client.recv(1_000)
    assert answer.startswith(b"HTTP/1.1 200")
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
    with httpx.Client(base_url=f"http://127.0.0.1:{hasty.port}", timeout=PATIENCE) as http:
        for _ in range(3):
            assert http.get("/livez").status_code == 200
            time.sleep(1.2)  # longer than a head may take, less than uvicorn keeps what is idle


# Many


def test_when_all_connections_are_taken_probes_are_answered_and_others_hear_why() -> None:
    with users_api(NOWHERE, MAX_CONNECTIONS=5, PROBE_CONNECTIONS=2) as api, ExitStack() as crowd:
        for _ in range(10):
            crowd.enter_context(closing(api.connect(HEAD)))

        for _ in range(2):
            assert api.http.get("/livez").json() == {"status": "alive"}
            assert api.http.get("/readyz").json()["status"] == 503
            refused = api.http.get("/users")
            assert is_problem(refused, 503)
            assert refused.headers["retry-after"] == "2"
            assert refused.headers["connection"] == "close"


def test_when_a_connection_is_free_again_anyone_may_have_it() -> None:
    with users_api(NOWHERE, MAX_CONNECTIONS=1) as api:
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


# Given up


def test_what_is_cut_off_while_it_is_answered_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    waiting = b"GET /users/1 HTTP/1.1\r\nHost: herald\r\n\r\n"
    with users_api(NOWHERE) as api:
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
