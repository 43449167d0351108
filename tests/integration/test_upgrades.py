"""Upgrades of the protocol, which users-api ignores: one answer to each request, and none to a body."""

import json
import re
from collections.abc import Iterator

import pytest

from .api_process import HEAD, NOWHERE, PING, Api, answers, is_closed, problem, users_api
from .live_api import MAYA

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


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with users_api(NOWHERE) as api:
        yield api


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
