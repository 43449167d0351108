"""Requests to other people's servers: one deadline, and what is certain after a failure."""

import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.abc import MetaPathFinder
from typing import ClassVar

import pytest
from tests.patience import SLACK

from notifier.http import MAX_BODY, Client, NoAnswer, NotSent

from .scripted_http import DRIBBLE, DROP, HANG, ScriptedHttpServer, answer


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(timeout=0.5)
    yield client
    client.close()


def post(client: Client, server: ScriptedHttpServer) -> tuple[int, bytes]:
    received = client.post(f"{server.url}/path?q=1", b"hello", {"X-Key": "k"})
    return received.status, received.body


def test_it_posts_and_returns_the_answer_whatever_its_status(client: Client) -> None:
    with ScriptedHttpServer([answer(503, b"busy", retry_after="7")]) as server:
        received = client.post(f"{server.url}/path?q=1", b"hello", {"X-Key": "k"})
    [request] = server.requests
    assert (received.status, received.body, received.retry_after) == (503, b"busy", 7.0)
    assert (request.method, request.target, request.body) == ("POST", "/path?q=1", b"hello")
    assert request.headers["x-key"] == "k"
    assert request.headers["user-agent"] == "Herald"


def test_connections_are_kept_and_threads_share_them(client: Client) -> None:
    with ScriptedHttpServer() as server:
        for _ in range(5):
            post(client, server)
        assert server.connections == 1
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda _: post(client, server), range(40)))
        assert results == [(200, b"{}")] * 40
        assert server.connections <= 8


def test_a_request_searches_for_no_module(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder(MetaPathFinder):
        sought: ClassVar[list[str]] = []

        def find_spec(self, fullname: str, *_: object) -> None:
            self.sought.append(fullname)

    with ScriptedHttpServer() as server:
        post(client, server)
        monkeypatch.setattr("sys.meta_path", [Finder(), *sys.meta_path])
        post(client, server)
    assert Finder.sought == []


def test_a_redirect_is_an_answer(client: Client) -> None:
    with ScriptedHttpServer([answer(302, location="http://127.0.0.1:1/")]) as server:
        assert post(client, server) == (302, b"")


def test_without_a_connection_the_request_was_certainly_not_sent(client: Client) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent, match="Connect"):
            client.post(f"http://127.0.0.1:{taken.getsockname()[1]}/", b"", {})
    with pytest.raises(NotSent):
        client.post("http://no-such-host.invalid/", b"", {})


def test_a_tls_handshake_that_hangs_or_fails_sends_nothing(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NotSent, match="ConnectTimeout"):
        client.post(f"https://127.0.0.1:{silent.getsockname()[1]}/", b"", {})
    with ScriptedHttpServer() as clear, pytest.raises(NotSent):
        client.post(f"https://127.0.0.1:{clear.port}/", b"", {})


@pytest.mark.parametrize(
    "reply",
    [DROP, HANG, DRIBBLE, b"HTTP/1.1 200" + DROP, b"no http at all\r\n\r\n" + DROP, b"HTTP/1.1 200 OK\r\n" + HANG],
)
def test_no_answer_in_time_is_uncertain(client: Client, reply: bytes) -> None:
    with ScriptedHttpServer([reply]) as server:
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            post(client, server)
        assert time.monotonic() - began < 0.5 + SLACK
        assert len(server.requests) == 1
        assert post(client, server) == (200, b"{}")


@pytest.mark.parametrize("end", [DROP, HANG])
def test_a_status_is_an_answer_even_if_the_body_breaks_off(client: Client, end: bytes) -> None:
    with ScriptedHttpServer([b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf" + end]) as server:
        assert post(client, server) == (200, b"half")


def test_a_body_is_read_up_to_a_limit(client: Client) -> None:
    with ScriptedHttpServer([answer(200, b"x" * 10_000_000)]) as server:
        assert post(client, server) == (200, b"x" * MAX_BODY)


def test_retry_after_may_be_a_date_or_unreadable(client: Client) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    with ScriptedHttpServer([answer(429, retry_after=text) for text in (later, "soon", "-1", "٣")]) as server:
        waits = [client.post(server.url, b"", {}).retry_after for _ in range(4)]
    assert waits[0] == pytest.approx(90, abs=5)
    assert waits[1:] == [None, None, None]


def test_errors_dont_quote_the_url(client: Client) -> None:
    with pytest.raises(NotSent) as caught:
        client.post("http://secret:word@127.0.0.1:1/token", b"", {})
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)


def test_cookies_are_not_kept(client: Client) -> None:
    cookies = answer(200, b"{}", set_cookie="name=J\u00fcrgen")
    with ScriptedHttpServer([cookies, answer(200, b"{}", set_cookie="plain=1")]) as server:
        assert [post(client, server) for _ in range(3)] == [(200, b"{}")] * 3
    assert not any("cookie" in request.headers for request in server.requests)


def test_a_date_that_is_none_is_no_retry_after(client: Client) -> None:
    with ScriptedHttpServer([answer(429, retry_after=f"Mon, 01 Jan {'9' * 23} 00:00:00 GMT")]) as server:
        assert client.post(server.url, b"", {}).retry_after is None


@pytest.mark.parametrize("reply", [answer(503), HANG, DROP])
def test_a_proxy_that_makes_no_connection_sends_nothing(monkeypatch: pytest.MonkeyPatch, reply: bytes) -> None:
    with ScriptedHttpServer([reply]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with closing(Client(timeout=1.0)) as client, pytest.raises(NotSent):
            client.post("https://provider.example/", b"secret", {})
        assert [request.method for request in proxy.requests] == ["CONNECT"]
