"""Requests to a provider's HTTP API or to a webhook's endpoint, and what is certain after a request has failed.

A request has one deadline, from looking up the host to the last byte of the answer, however slowly the other side
writes. So requests run on an asyncio loop, which can end them at any point. The loop has a thread of its own and one
pool of kept connections, which all threads of the process share.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from messaging.errors import TransientError, UncertainError

MAX_BODY = 64 * 1024
"""The most bytes of an answer's body that are read; the rest is dropped, with the connection."""

IDLE_SECONDS = 20.0
"""A kept connection is closed after this time without a request: before load balancers forget it silently."""

Prepare = Callable[[httpx.Request], Awaitable[None]]


class NotSent(TransientError):
    """The request was certainly not sent: there is no connection. It is tried again. If that lasts, check the URL."""


class NoAnswer(UncertainError):
    """The request was sent and no answer came. Look at the other side's log, or retry the delivery to send it again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. `body`: at most MAX_BODY bytes, and fewer if the connection broke after the headers."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """The seconds that the header Retry-After asks to wait; None, without a readable one."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())


class Client:
    """Sends requests; threads share it. It opens no connection, and starts no thread, before the first request.

    `timeout`: seconds for one request, connecting and reading the answer included. `proxies`: whether to use the
    proxies that the environment names (HTTPS_PROXY and so on). `prepare`: is awaited within that time before a request
    is sent, may change it, and what it raises is raised by `post`.
    """

    def __init__(self, *, timeout: float, proxies: bool = True, prepare: Prepare | None = None) -> None:
        self._timeout = timeout
        self._proxies = proxies
        self._hooks = {"request": [prepare]} if prepare else {}
        self._starting = threading.Lock()
        self._running: _Running | None = None

    def post(
        self, url: str, content: bytes, headers: Mapping[str, str], extensions: Mapping[str, Any] | None = None
    ) -> Answer:
        """Post `content` and return the answer, whatever its status. Redirects aren't followed.

        Raises:
            NotSent: no connection was made.
            NoAnswer: the request was sent, at least in part, and no answer came in time.
        """
        running = self._running or self._start()
        headers = {"User-Agent": "Herald", "Accept-Encoding": "identity", **headers}
        request = running.client.build_request(
            "POST", url, content=content, headers=headers, extensions=dict(extensions or {})
        )
        exchange = asyncio.run_coroutine_threadsafe(_exchange(running.client, request, self._timeout), running.loop)
        try:
            return exchange.result()
        finally:
            exchange.cancel()  # if this thread is interrupted while it waits

    def close(self) -> None:
        """Close the kept connections, and end the thread."""
        if self._running:
            asyncio.run_coroutine_threadsafe(self._running.client.aclose(), self._running.loop).result(1.0)
            self._running.loop.call_soon_threadsafe(self._running.loop.stop)
            self._running.thread.join(1.0)

    def _start(self) -> "_Running":
        with self._starting:
            if self._running is None:
                limits = httpx.Limits(max_connections=None, keepalive_expiry=IDLE_SECONDS)
                # _exchange has one deadline for everything. By its own limit a handshake that hangs is also closed.
                timeout = httpx.Timeout(None, connect=self._timeout / 2)
                client = httpx.AsyncClient(
                    verify=httpx.create_ssl_context(),  # by SSL_CERT_FILE, whatever trust_env says
                    timeout=timeout,
                    limits=limits,
                    trust_env=self._proxies,
                    event_hooks=self._hooks,
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                )
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=(loop,), name="http", daemon=True)
                thread.start()
                self._running = _Running(loop, client, thread)
            return self._running


@dataclass(frozen=True, slots=True)
class _Running:
    loop: asyncio.AbstractEventLoop
    client: httpx.AsyncClient
    thread: threading.Thread


def _run(loop: asyncio.AbstractEventLoop) -> None:
    with closing(loop):
        loop.run_forever()


async def _exchange(client: httpx.AsyncClient, request: httpx.Request, timeout: float) -> Answer:
    begun = False

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        nonlocal begun
        begun = begun or (event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT")

    request.extensions["trace"] = trace
    answer: Answer | None = None
    try:
        async with asyncio.timeout(timeout), aclosing(await client.send(request, stream=True)) as response:
            answer = Answer(response.status_code, response.headers, b"")
            async for chunk in response.aiter_raw():
                answer = Answer(answer.status, answer.headers, (answer.body + chunk)[:MAX_BODY])
                if len(answer.body) == MAX_BODY:
                    break
    except (httpx.HTTPError, TimeoutError) as error:
        if answer is None:
            raise _failure(error, begun, timeout) from None
    return answer


def _failure(error: Exception, begun: bool, timeout: float) -> NotSent | NoAnswer:
    """Describe a failure by the error's type: its text may quote the URL, and so a secret."""
    what = f"nothing within {timeout:g} s" if isinstance(error, TimeoutError) else type(error).__name__
    if begun:
        return NoAnswer(f"the request was sent, and no answer came ({what})")
    return NotSent(f"no connection ({what}{_reason(error)})")


def _reason(error: BaseException) -> str:
    """Return what the operating system or OpenSSL said, if that is the error's cause: neither quotes the URL."""
    cause, said = error.__cause__ or error.__context__, ""
    while cause:
        said = f": {cause}" if isinstance(cause, OSError) else said  # ssl.SSLError is one too
        cause = cause.__cause__ or cause.__context__
    return said
