"""Webhooks go to public addresses only, however their names are resolved, and TLS is checked by the name."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.patience import PATIENCE, SLACK

from messaging.errors import Unavailable
from notifier.webhooks import addresses
from notifier.webhooks.endpoint import Endpoint
from notifier.webhooks.errors import EndpointAway, EndpointRefused
from notifier.webhooks.signature import read_secrets

from .certificates import server_tls
from .scripted_http import ScriptedHttpServer

SECRETS = read_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
HOST = "hooks.example"

Answers = list[list[str] | OSError]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let names have these addresses, one answer after another; return the names that were asked for."""
    real = socket.getaddrinfo

    def patch(*answers: list[str] | OSError) -> list[str]:
        left, asked = list(answers), []

        def getaddrinfo(host: Any, port: Any, *more: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if name != HOST:
                return real(host, port, *more, **options)
            asked.append(name)
            found = left.pop(0)
            if isinstance(found, OSError):
                raise found
            return [info for address in found for info in real(address, port, type=socket.SOCK_STREAM)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return patch


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 127.0.0.1, alone of this machine's addresses, pass for a public one."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")


@pytest.fixture
def opened() -> Iterator[Callable[[str], Endpoint]]:
    endpoints = []

    def open_it(url: str) -> Endpoint:
        endpoints.append(Endpoint(httpx.URL(url), SECRETS, timeout=1.0, allow_private=False))
        return endpoints[-1]

    yield open_it
    for endpoint in endpoints:
        endpoint._client.close()


Opened = Callable[[str], Endpoint]
Resolver = Callable[..., list[str]]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_not_called_however_it_is_written(opened: Opened, host: str) -> None:
    with ScriptedHttpServer() as server:
        with pytest.raises((EndpointRefused, EndpointAway)) as refused:
            opened(f"http://{host}:{server.port}/").call("id", b"")
        assert server.connections == 0
    assert isinstance(refused.value, Unavailable), "the rest of the message isn't tried either"
    if host in ("127.0.0.1", "localhost", "[::1]"):
        assert "WEBHOOK_ALLOW_PRIVATE=yes" in str(refused.value)


@pytest.mark.parametrize(
    "found", [["169.254.169.254"], ["10.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["fd00:ec2::254"], ["::ffff:10.0.0.1"]]
)
def test_a_name_of_an_address_that_is_not_public_is_refused(
    opened: Opened, resolver: Resolver, found: list[str]
) -> None:
    resolver(found)
    with pytest.raises(EndpointRefused, match="isn't a public address"):
        opened(f"http://{HOST}/s3cret").call("id", b"")


@pytest.mark.usefixtures("loopback_is_public")
def test_the_name_is_resolved_once_and_the_checked_address_is_called(opened: Opened, resolver: Resolver) -> None:
    with ScriptedHttpServer() as server:
        asked = resolver(["127.0.0.1"], ["127.0.0.2"])
        endpoint = opened(f"http://{HOST}:{server.port}/in?key=1")

        endpoint.call("id", b"")
        assert asked == [HOST], "a second answer could be another address"
        assert (server.requests[0].target, server.requests[0].headers["host"]) == ("/in?key=1", f"{HOST}:{server.port}")

        with pytest.raises(EndpointRefused, match=r"127\.0\.0\.2"):
            endpoint.call("id", b"")
        assert len(server.requests) == 1


@pytest.mark.usefixtures("loopback_is_public")
def test_a_name_that_is_not_resolved_now_is_tried_again(opened: Opened, resolver: Resolver) -> None:
    resolver(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), ["127.0.0.1"])
    with ScriptedHttpServer() as server:
        endpoint = opened(f"http://{HOST}:{server.port}/")
        with pytest.raises(EndpointAway, match="Temporary failure"):
            endpoint.call("id", b"")
        assert endpoint.call("id", b"").status == 200


def test_a_resolver_that_hangs_counts_towards_the_time_of_the_call(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, released = socket.getaddrinfo, threading.Event()

    def hang(host: Any, *more: Any, **options: Any) -> Any:
        if HOST in str(host):
            released.wait(PATIENCE)
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    with pytest.raises(EndpointAway, match="nothing within 1 s"):
        opened(f"http://{HOST}/").call("id", b"")
    released.set()
    assert time.monotonic() - began < 1 + SLACK


def test_an_address_without_a_server_gives_way_to_the_next(
    opened: Opened, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    resolver(*3 * [["127.0.0.2", "127.0.0.1"]])
    with ScriptedHttpServer() as server:
        endpoint = opened(f"http://{HOST}:{server.port}/")
        with pytest.raises(EndpointAway):
            endpoint.call("id", b"")
        assert [endpoint.call("id", b"").status for _ in range(2)] == [200, 200]


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize("named", [HOST, "other.example"])
def test_tls_is_checked_by_the_name_not_by_the_address(
    opened: Opened, resolver: Resolver, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(*2 * [["127.0.0.1"]])
    certificate = tmp_path / "server.pem"
    with ScriptedHttpServer(tls=server_tls(named, certificate)) as server:
        url = f"https://{HOST}:{server.port}/"
        with pytest.raises(EndpointAway, match="certificate verify failed"):
            opened(url).call("id", b"")

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        if named == HOST:
            assert opened(url).call("id", b"").status == 200
        else:
            with pytest.raises(EndpointAway, match="Hostname mismatch"):
                opened(url).call("id", b"")


@pytest.mark.usefixtures("loopback_is_public")
def test_the_environments_proxies_are_not_used(
    opened: Opened, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(["127.0.0.1"])
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with ScriptedHttpServer() as server:
        assert opened(f"http://{HOST}:{server.port}/").call("id", b"").status == 200
