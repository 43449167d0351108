"""What the endpoint of a webhook answers, and what that means: over real sockets."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from standardwebhooks import Webhook
from tests.patience import SLACK

from messaging.errors import RetryLater, TransientError, Unavailable, UncertainError
from messaging.privacy import Hidden
from notifier.http import MAX_BODY
from notifier.webhooks.endpoint import FAILURES, LONGEST_WAIT, Endpoint
from notifier.webhooks.errors import EndpointAway, EndpointBusy, EndpointGone, NotTaken
from notifier.webhooks.signature import read_secrets

from .scripted_http import DRIBBLE, DROP, HANG, ScriptedHttpServer, answer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type":"user_registered"}'

Open = Callable[[str], Endpoint]


@pytest.fixture
def open_endpoint() -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(url: str) -> Endpoint:
            endpoint = Endpoint(httpx.URL(url), read_secrets(SECRET), timeout=0.5, allow_private=True)
            stack.callback(endpoint._client.close)
            return endpoint

        yield opened


def deliver(endpoint: Endpoint, happened: datetime | None = None) -> None:
    hidden = Hidden(("Maya Chen", "maya@example.com"))
    endpoint.deliver("id-1", BODY, happened=happened or datetime.now(UTC), hidden=hidden)


def test_a_2xx_is_success_and_the_request_is_signed(open_endpoint: Open) -> None:
    with ScriptedHttpServer([answer(status) for status in (200, 201, 202, 204)]) as server:
        endpoint = open_endpoint(f"{server.url}/in?key=1")
        for _ in range(4):
            deliver(endpoint)
    assert len(server.requests) == 4
    assert server.connections == 1
    request = server.requests[0]
    assert (request.method, request.target, request.body) == ("POST", "/in?key=1", BODY)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "id-1"
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 3
    assert Webhook(SECRET).verify(request.body, request.headers) == {"type": "user_registered"}


def test_each_attempt_is_signed_anew_and_keeps_its_id(open_endpoint: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedHttpServer([answer(500)]) as server:
        endpoint = open_endpoint(server.url)
        with pytest.raises(NotTaken):
            deliver(endpoint)
        now = time.time()
        monkeypatch.setattr("notifier.webhooks.endpoint.time.time", lambda: now + 100)
        deliver(endpoint)
    first, second = (request.headers for request in server.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert 95 <= int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) <= 105
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 413, 422, 500])
def test_any_other_status_is_a_failure_that_is_tried_again(open_endpoint: Open, status: int) -> None:
    with ScriptedHttpServer([answer(status, location="http://127.0.0.1:1/")]) as server:
        with pytest.raises(NotTaken, match=str(status)) as raised:
            deliver(open_endpoint(server.url))
        assert len(server.requests) == 1
    assert not isinstance(raised.value, Unavailable)
    assert ("redirects aren't followed" in str(raised.value)) == (status < 400)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_endpoint_that_is_overloaded_is_left_alone(open_endpoint: Open, status: int) -> None:
    with ScriptedHttpServer([answer(status)]) as server, pytest.raises(EndpointAway):
        deliver(open_endpoint(server.url))


def test_gone_is_final(open_endpoint: Open) -> None:
    with ScriptedHttpServer([answer(410, retry_after="5")]) as server, pytest.raises(EndpointGone):
        deliver(open_endpoint(server.url))


@pytest.mark.parametrize(
    ("asked", "age", "least"),
    [
        ("120", timedelta(0), 120),
        ("1", timedelta(0), 1),
        ("0", timedelta(minutes=10), 60),
        ("1", timedelta(days=2), 900),
        (format_datetime(datetime.now(UTC) + timedelta(hours=12), usegmt=True), timedelta(0), 40_000),
        ("999999999", timedelta(0), LONGEST_WAIT),
        ("7", timedelta(days=-1), 7),
    ],
    ids=["two minutes", "a second", "none", "an old event", "a date", "for ever", "an event of the future"],
)
def test_retry_after_is_the_least_wait(open_endpoint: Open, asked: str, age: timedelta, least: float) -> None:
    with ScriptedHttpServer([answer(503, retry_after=asked)]) as server, pytest.raises(EndpointBusy) as busy:
        deliver(open_endpoint(server.url), datetime.now(UTC) - age)
    assert isinstance(busy.value, RetryLater)
    assert isinstance(busy.value, Unavailable)
    assert least - 1 <= busy.value.after <= 1.2 * least


@pytest.mark.parametrize("reply", [DROP, HANG, DRIBBLE, b"HTTP/1.1 200" + DROP, b"no http at all\r\n\r\n" + DROP])
def test_without_an_answer_it_is_tried_again_and_not_uncertain(open_endpoint: Open, reply: bytes) -> None:
    with ScriptedHttpServer([reply]) as server:
        endpoint = open_endpoint(server.url)
        began = time.monotonic()
        with pytest.raises(NotTaken) as raised:
            deliver(endpoint)
        assert time.monotonic() - began < 0.5 + SLACK
        assert not isinstance(raised.value, UncertainError | Unavailable)
        deliver(endpoint)


@pytest.mark.parametrize("failure", [answer(500), DROP])
def test_after_some_failures_in_a_row_the_endpoint_is_away(open_endpoint: Open, failure: bytes) -> None:
    with ScriptedHttpServer([failure, failure, answer(200), *FAILURES * [failure], answer(404), failure]) as server:
        endpoint = open_endpoint(server.url)
        raised: list[type | None] = []
        for _ in range(FAILURES + 5):
            try:
                deliver(endpoint)
                raised.append(None)
            except TransientError as error:
                raised.append(type(error))
    assert raised == [NotTaken, NotTaken, None, NotTaken, NotTaken, EndpointAway, NotTaken, NotTaken]


def test_without_a_connection_the_endpoint_is_away_at_once(open_endpoint: Open) -> None:
    for url in ("http://127.0.0.1:1/s3cret", "http://no-such-host.invalid/s3cret"):
        with pytest.raises(EndpointAway) as away:
            deliver(open_endpoint(url))
        assert "s3cret" not in str(away.value)


def test_a_big_answer_is_read_in_part(open_endpoint: Open) -> None:
    with ScriptedHttpServer([answer(200, b"x" * 10_000_000)]) as server:
        endpoint = open_endpoint(server.url)
        assert len(endpoint.call("id", BODY).body) == MAX_BODY
        deliver(endpoint)


def test_an_error_repeats_the_answers_words_and_nothing_of_the_user_or_the_url(open_endpoint: Open) -> None:
    said = b'{"error":"unknown secret","user":"Maya Chen","mail":"maya@example.com"}'
    with ScriptedHttpServer([answer(401, said)]) as server, pytest.raises(NotTaken) as raised:
        deliver(open_endpoint(f"{server.url}/s3cret"))
    assert "401" in str(raised.value)
    for word in ("Maya", "maya", "Chen", "s3cret"):
        assert word not in str(raised.value)
