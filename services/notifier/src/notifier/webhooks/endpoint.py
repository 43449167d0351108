"""Calls the endpoint, and says what its answer means.

By Standard Webhooks any answer but 2xx is a failure to be tried again, a redirect too: it isn't followed. 410 Gone is
final. What isn't about one message (no connection, an endpoint that is overloaded or fails at one call after another)
ends the rest of the Dramatiq message with it, so that a dead endpoint isn't called for every event that waits.
"""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NoReturn

import httpx

from messaging.privacy import Hidden
from notifier.http import Answer, Client, NoAnswer, NotSent
from notifier.webhooks import signature
from notifier.webhooks.addresses import Guard
from notifier.webhooks.errors import EndpointAway, EndpointBusy, EndpointGone, NotTaken

OVERLOADED = {429, 502, 503, 504}
FAILURES = 3
"""After this many failures in a row the endpoint is away: no answer, or a status of 500 and more."""

LONGEST_WAIT = 86_400.0
"""Seconds: the longest wait that an endpoint may ask for."""


class Endpoint:
    """The endpoint of WEBHOOK_URL; threads share it.

    `timeout`: seconds for one call, from looking up the host to the last byte of the answer.
    """

    def __init__(self, url: httpx.URL, secrets: Sequence[bytes], *, timeout: float, allow_private: bool) -> None:
        self._url = str(url)
        self._secrets = secrets
        self._guard = None if allow_private else Guard()
        # No proxy: it would resolve the host itself, and so connect to addresses that the guard never sees.
        self._client = Client(timeout=timeout, proxies=False, prepare=self._guard)
        self._failures = 0

    def deliver(self, message_id: str, body: bytes, *, happened: datetime, hidden: Hidden) -> None:
        """Deliver a message; return only after a 2xx. `hidden`: what isn't repeated of an answer.

        Raises:
            NotTaken: it is tried again.
            EndpointRefused: nothing was sent.
            EndpointGone: the endpoint answered 410.
        """
        try:
            answer = self.call(message_id, body)
        except NoAnswer as error:
            self._fail(str(error))
        if answer.status in range(200, 300):
            self._failures = 0
            return
        said = f"the endpoint answered {answer.status} {hidden.out_of(answer.body, limit=100)}".strip()
        if answer.status == httpx.codes.GONE:
            raise EndpointGone(said)
        if answer.retry_after is not None:
            raise EndpointBusy(said, after=_wait(answer.retry_after, happened))
        if answer.status in OVERLOADED:
            raise EndpointAway(said)
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            self._fail(said)
        self._failures = 0
        redirected = answer.status in range(300, 400)
        raise NotTaken(f"{said} (redirects aren't followed: set WEBHOOK_URL)" if redirected else said)

    def call(self, message_id: str, body: bytes) -> Answer:
        """Post a message, signed now, and return the answer.

        Raises:
            EndpointRefused: the host has an address that isn't public; nothing was sent.
            EndpointAway: there is no connection; nothing was sent.
            NoAnswer: it was sent, at least in part, and no answer came in time.
        """
        headers = signature.headers(self._secrets, message_id, int(time.time()), body)
        try:
            return self._client.post(self._url, body, headers)
        except NotSent as error:
            if self._guard:
                self._guard.take_next()
            raise EndpointAway(str(error)) from None

    def _fail(self, said: str) -> NoReturn:
        self._failures += 1
        if self._failures >= FAILURES:
            raise EndpointAway(f"{said}; {self._failures} calls in a row have failed, and the others wait")
        raise NotTaken(said)


def _wait(asked: float, happened: datetime) -> float:
    """Return how many seconds to wait if the endpoint asks for `asked`, with some jitter.

    Never less than a tenth of the time since the event happened, or 15 minutes: an endpoint that always asks for a
    second would use up the attempts of three days within minutes.
    """
    age = (datetime.now(UTC) - happened).total_seconds()
    least = min(max(0.0, age) / 10, 900.0)
    return max(least, min(asked, LONGEST_WAIT)) * random.uniform(1.0, 1.1)  # noqa: S311  # jitter
