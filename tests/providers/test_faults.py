"""What breaks on the way to a provider, and what is certain then."""

import socket
import time

import pytest
from tests.integration.scripted_http import DRIBBLE, DROP, HANG, ScriptedHttpServer, answer
from tests.patience import SLACK

from messaging.errors import Unavailable
from notifier.errors import MailUncertain, ServerAway

from .conftest import OpenSender
from .letters import WELCOME
from .test_answers import URLS

pytestmark = pytest.mark.parametrize("scheme", URLS)


@pytest.mark.parametrize("reply", [DROP, HANG, DRIBBLE, b"HTTP/1.1 20" + DROP, b"220 smtp ready\r\n" + DROP])
def test_a_request_without_an_answer_is_uncertain_and_ends_in_time(
    scheme: str, reply: bytes, opened: OpenSender
) -> None:
    with ScriptedHttpServer([reply]) as server:
        sender = opened(URLS[scheme].format(server.port), timeout=0.5)
        began = time.monotonic()
        with pytest.raises(MailUncertain, match="the request was sent, and no answer came"):
            sender.send(WELCOME)
        assert time.monotonic() - began < 0.5 + SLACK
        assert len(server.requests) == 1, "it isn't repeated"
        sender.send(WELCOME)


@pytest.mark.parametrize("end", [DROP, HANG])
def test_a_body_that_breaks_off_does_not_take_back_the_acceptance(scheme: str, end: bytes, opened: OpenSender) -> None:
    with ScriptedHttpServer([b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{" + end]) as server:
        assert opened(URLS[scheme].format(server.port), timeout=0.5).send(WELCOME) is None


def test_without_a_connection_no_mail_is_sent_and_the_rest_waits(scheme: str, opened: OpenSender) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ServerAway, match="no connection") as caught:
            opened(URLS[scheme].format(taken.getsockname()[1])).send(WELCOME)
    assert isinstance(caught.value, Unavailable)


def test_without_tls_on_the_other_side_nothing_is_sent(scheme: str, opened: OpenSender) -> None:
    with ScriptedHttpServer() as server:
        url = URLS[scheme].format(server.port).replace("tls=no", "tls=yes")
        with pytest.raises(ServerAway, match="no connection"):
            opened(url).send(WELCOME)
        assert server.requests == []


def test_a_kept_connection_that_was_closed_meanwhile_costs_no_mail(scheme: str, opened: OpenSender) -> None:
    closing = answer(200, b"{}") + DROP
    with ScriptedHttpServer([closing] * 3) as server:
        sender = opened(URLS[scheme].format(server.port))
        for _ in range(3):
            sender.send(WELCOME)
            time.sleep(0.05)
        assert len(server.requests) == 3
