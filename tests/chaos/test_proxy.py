"""The proxy that cuts commits: what it does goes on to its end, though nobody else holds it."""

import gc
import random
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.patience import until

from chaos.proxy import COMMIT, CutProxy


class Tails(random.Random):
    """Each commit is cut, and done: nobody hears of it."""

    def random(self) -> float:
        return 0.5


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_cut_is_waited_for_though_its_client_is_gone(server: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    proxy = CutProxy(server.getsockname()[1], Tails(), share=1.0)
    proxy.start()
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(COMMIT)
        to_server, _ = server.accept()
        until(lambda: proxy.cut_after == 1)

    with closing(to_server):
        assert to_server.recv(100) == COMMIT
        to_server.settimeout(10)
        gc.collect()
        to_server.sendall(b"done")
        assert to_server.recv(100) == b"", "it hangs up once it has the answer"
    proxy.stop()

    assert caplog.messages == []
